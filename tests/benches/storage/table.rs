//! Tables of figures, for people and as lines of JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// A column: its name in JSON, its title, and the number of decimals.
pub(crate) type Column = (&'static str, &'static str, usize);

/// The width of the first column.
const NAME_WIDTH: usize = 34;
/// The width of each other column.
const WIDTH: usize = 13;

/// A table that prints each row at once.
pub(crate) struct Table {
    section: &'static str,
    columns: &'static [Column],
    json: bool,
}

impl Table {
    /// Prints the title and the names of the columns.
    pub(crate) fn begin(
        section: &'static str,
        title: &str,
        columns: &'static [Column],
        json: bool,
    ) -> Self {
        println!("\n{section}: {title}");
        let mut titles = " ".repeat(NAME_WIDTH);
        for (_, title, _) in columns {
            write!(titles, "{title:>WIDTH$}").unwrap();
        }
        println!("{titles}");
        Self {
            section,
            columns,
            json,
        }
    }

    /// Prints a row: its name, and a figure for each column. A figure that is no number is left out.
    pub(crate) fn row(&self, name: &str, figures: &[f64]) {
        assert_eq!(
            figures.len(),
            self.columns.len(),
            "a figure for each column"
        );
        let mut line = format!("  {name:<width$}", width = NAME_WIDTH - 2);
        let mut members = Map::new();
        members.insert("section".into(), self.section.into());
        members.insert("row".into(), name.into());
        for ((key, _, decimals), figure) in self.columns.iter().zip(figures) {
            let text = if figure.is_finite() {
                format!("{figure:.decimals$}")
            } else {
                "–".into()
            };
            write!(line, "{text:>WIDTH$}").unwrap();
            members.insert((*key).into(), json!(figure));
        }
        println!("{line}");
        if self.json {
            println!("{}", Value::from(members));
        }
    }
}

/// Returns the median.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
