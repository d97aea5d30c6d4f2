//! Rules for the sources themselves: dependencies, files, names, language and pages.

#![expect(clippy::print_stdout, reason = "figures are shown where tests print")]

mod ci;
mod cycles;
mod dependencies;
mod docs;
mod files;
mod modules;
mod names;
mod pages;
mod ratchet;
mod source;
mod words;
