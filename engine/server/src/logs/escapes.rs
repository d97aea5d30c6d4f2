//! Escapes for characters that do not print, in both formats of a log.

use std::fmt::Debug;
use std::io::{self, Write};

use bursar_ledger::{Printable, PrintableJson};
use tracing::field::Field;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{FieldFn, FormatFields, Writer, debug_fn};

/// Displays a value by its `Debug`. For a field that was logged with `%`, tracing makes that its `Display`.
struct DebugDisplay<'a>(&'a dyn Debug);

impl std::fmt::Display for DebugDisplay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Formats the fields of a text line: the message, then `name=value` for each other field.
pub(super) fn escaped_fields() -> impl for<'a> FormatFields<'a> + Send + Sync + 'static {
    let write: FieldFn<_> = debug_fn(
        |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
            let value = Printable(DebugDisplay(value));
            match field.name() {
                "message" => write!(writer, "{value}"),
                name => write!(writer, " {name}={value}"),
            }
        },
    );
    write
}

/// Makes writers that escape lines of JSON. The JSON layer writes each line with one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonEscapes<W>(pub(super) W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for JsonEscapes<W> {
    type Writer = EscapingWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapingWriter(self.0.make_writer())
    }
}

/// A writer that replaces characters that do not print by JSON escapes.
pub(super) struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0
            .write_all(PrintableJson(&text).to_string().as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
