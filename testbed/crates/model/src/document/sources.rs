//! The texts that positions point into: files, and `--set` arguments.

use std::sync::Arc;

/// One text and the name a person knows it by.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    /// False for `--set` arguments, which are not worth keeping beside a run's results.
    pub(crate) is_file: bool,
}

/// All texts of one load, in the order they were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    list: Vec<Source>,
}

impl Sources {
    pub(crate) fn add_file(&mut self, name: &str, text: String) -> u32 {
        self.add(Source {
            name: name.to_owned(),
            text: text.into(),
            is_file: true,
        })
    }

    pub(crate) fn add_argument(&mut self, text: String) -> u32 {
        self.add(Source {
            name: "--set".to_owned(),
            text: text.into(),
            is_file: false,
        })
    }

    fn add(&mut self, source: Source) -> u32 {
        let id = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(source);
        id
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Source> {
        self.list.get(id as usize)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Source> {
        self.list.iter().filter(|source| source.is_file)
    }
}
