//! A good file of a reader, and how it is damaged: as it stands, or inside its packing.
//!
//! In: a name, bytes, and what they are packed in. Out: the file's bytes, good or damaged. A file that is compressed or has a
//! checksum is damaged before it is packed as often as after, because readers refuse most of the latter at once.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use zip::write::SimpleFileOptions;
use zip::{DateTime, ZipWriter};

use crate::mutate::mutate;

/// What the content of a file stands in.
#[derive(Clone, Copy)]
pub enum Packing {
    Plain,
    Gzip,
    /// A zip of one file.
    Zip,
    /// The header of a safetensors file, in front of these bytes of numbers.
    Safetensors,
}

/// A good file.
pub struct Input {
    /// Inside the folder of its reader.
    pub name: String,
    /// Not packed yet; weights without their length.
    content: Vec<u8>,
    /// Behind the header of weights.
    numbers: Vec<u8>,
    packing: Packing,
    /// Whether it is ever damaged: a file beside another may be there only to be named.
    pub is_target: bool,
}

impl Input {
    pub fn new(name: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.to_owned(),
            content: content.into(),
            numbers: Vec::new(),
            packing: Packing::Plain,
            is_target: true,
        }
    }

    pub fn packed(name: &str, content: impl Into<Vec<u8>>, packing: Packing) -> Self {
        Self {
            packing,
            ..Self::new(name, content)
        }
    }

    /// A whole safetensors file.
    pub fn weights(name: &str, file: &[u8]) -> Self {
        let (length, rest) = file.split_at(8);
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        let (header, numbers) = rest.split_at(length as usize);
        Self {
            numbers: numbers.to_vec(),
            ..Self::packed(name, header, Packing::Safetensors)
        }
    }

    /// The same file, never damaged.
    pub fn fixed(self) -> Self {
        Self {
            is_target: false,
            ..self
        }
    }

    /// The file as it should be.
    pub fn good(&self) -> Vec<u8> {
        self.pack(&self.content)
    }

    /// The file with some damage.
    pub fn damaged(&self, donor: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
        if rng.random_range(0..2) == 0 {
            let mut content = self.content.clone();
            mutate(&mut content, donor, rng);
            self.pack(&content)
        } else {
            let mut file = self.good();
            mutate(&mut file, donor, rng);
            file
        }
    }

    fn pack(&self, content: &[u8]) -> Vec<u8> {
        match self.packing {
            Packing::Plain => content.to_vec(),
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(content).expect("memory");
                encoder.finish().expect("memory")
            }
            Packing::Zip => {
                let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
                let options = SimpleFileOptions::default().last_modified_time(DateTime::default());
                writer.start_file("scores.csv", options).expect("memory");
                writer.write_all(content).expect("memory");
                writer.finish().expect("memory").into_inner()
            }
            Packing::Safetensors => {
                let length = (content.len() as u64).to_le_bytes();
                [&length[..], content, &self.numbers].concat()
            }
        }
    }
}
