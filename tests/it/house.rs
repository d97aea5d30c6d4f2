//! Rules for the sources themselves: dependencies, files, names, language and pages.

mod dependencies;
mod docs;
mod files;
mod names;
mod pages;
mod ratchet;
mod source;
mod words;
