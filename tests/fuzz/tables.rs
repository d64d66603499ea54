//! Readers of rows and of plain tables: examples in every form, the guess of how files are written, counts, mappings, known
//! pairs, corpora, submissions.
//!
//! Out: [`Reader`]s with good files. Damages nothing.

use std::path::{Path, PathBuf};

use cipherpet::align::{AlignInput, AlignMethod, align, anchors};
use cipherpet::config::{self, AlignConfig, SubmitConfig, SubmitFormat};
use cipherpet::data::{
    Classes, Dictionary, ExampleFormat, LabelColumns, LabelKind, Labels, Task, TextKind, TokenKind,
    ids, read_examples,
};
use cipherpet::error::Result;
use cipherpet::random::Key;
use cipherpet::vocab::unit::UnitChoice;
use cipherpet::vocab::{CipherVocab, PlainVocab, TokenCounts, Unit};
use cipherpet::workbench::cipher::{CipherOptions, cipher};
use cipherpet::workbench::inspect::{Starter, inspect};
use cipherpet::workbench::{self, reading, submission};

use crate::input::{Input, Packing};
use crate::models;
use crate::reader::{Reader, silently};

/// Pairs of sentences over few ids, with labels 0 and 1.
pub const PAIRS: &str =
    "1 2\t3 1\t1\n4\t5 6\t0\n2 2 7\t1\t1\n3 4 5\t5 4 3\t0\n6\t6 1\t1\n2 3\t4\t0\n";
/// Rows without labels.
pub const TEST: &str = "1 2\t3\n4 7\t5\n6\t6 1\n";
const CSV: &str =
    "id,text_a,text_b,label\n7,1|2,3|1,1\n8,4,\"5|6\",0\n9,\"2|2|7\",1,1\n10,3|4,5,0\n";
const SINGLE: &str = "ab cd\tsport\ncd\tnews, local\nef ab ab\t7\nab 语\tsport\n";
const MULTI: &str = "text\ttoxic\trude\n1 2\t0\t1\n3\t1\t1\n4 1\t0\t0\n";
const SEVERAL: &str = "1 2\tx\n3\tx,y\n4 1\t\n5\ty\n";
const ORDINAL: &str = "1 2\t3\t0.5\n4\t5 6\t2\n2\t1\t4.5\n";
const CORPUS: &str =
    "今天天气很好。明天也好。\n天气 a b c\n\nabc bcd 你好 weather\n今天很好\n明天天气好\n";
const TABLE: &str =
    "id,text_a,text_b,label\n1,今天天气很好,\"明天,也好\",体育\n2,天气不好啊,很好很好呢,财经\n";
const MAPPING: &str = "cipher_id\tcount\tplain_token\tplain_count\tmethod\tmargin\tmutual\tconfidence\ttop3\n\
                       1\t5\ta\t20\tgraph\t0.5\t1\t0.9\ta:0.9 b:0.1\n2\t4\tb\t15\tgraph\t0.25\t0\t0.5\tb:0.5 c:0.25\n\
                       3\t3\tc\t12\tgraph\t0\t0\t0\t\n4\t2\td\t10\tgraph\t1.5\t1\t1\td:1\n\"\"\"\"\t2\t\"h\"\t1\trank\t\t\t\t\n";
const SAMPLE: &str = "id,score\n7,0.5\n8,0.5\n9,0.25\n";

pub fn readers() -> Vec<Reader> {
    let mut readers = examples();
    readers.extend(guesses());
    readers.extend(alignments());
    readers.extend(plaintexts());
    readers.extend(submissions());
    readers
}

fn examples() -> Vec<Reader> {
    let pairs = ExampleFormat::default();
    let csv = ExampleFormat {
        delimiter: ',',
        header: true,
        token_separator: "|".to_owned(),
        ..pairs.clone()
    };
    let single = ExampleFormat {
        kind: TextKind::Single,
        labels: LabelKind::Classes,
        tokens: TokenKind::Text,
        ..pairs.clone()
    };
    let column = |name: &str| cipherpet::data::Column::Name(name.to_owned());
    let columns = ExampleFormat {
        kind: TextKind::Single,
        labels: LabelKind::Multilabel,
        header: true,
        text_a: Some(column("text")),
        label: Some(LabelColumns::Several(vec![column("toxic"), column("rude")])),
        ..pairs.clone()
    };
    let several = ExampleFormat {
        kind: TextKind::Single,
        labels: LabelKind::Multilabel,
        ..pairs.clone()
    };
    let ordinal = ExampleFormat {
        labels: LabelKind::Ordinal,
        ..pairs.clone()
    };
    vec![
        of_examples("examples-tsv", Input::new("a.tsv", PAIRS), pairs.clone()),
        of_examples("examples-csv", Input::new("a.csv", CSV), csv),
        of_examples("examples-text", Input::new("a.tsv", SINGLE), single),
        of_examples("examples-columns", Input::new("a.tsv", MULTI), columns),
        of_examples("examples-several", Input::new("a.tsv", SEVERAL), several),
        of_examples("examples-ordinal", Input::new("a.tsv", ORDINAL), ordinal),
        of_examples(
            "examples-gzip",
            Input::packed("a.tsv.gz", PAIRS, Packing::Gzip),
            pairs,
        ),
    ]
}

/// Reads with labels and without, and goes on to rows of a vocabulary.
fn of_examples(name: &'static str, file: Input, format: ExampleFormat) -> Reader {
    let at = file.name.clone();
    Reader::new(name, 2500, vec![file], move |folder| {
        let path = folder.join(&at);
        let mut dictionary = Dictionary::new(format.tokens);
        read_examples(&path, &format, Labels::Ignored, &mut dictionary)?;
        ids::find_ids(&path, &format)?;
        let mut classes = Classes::new(&format);
        let labels = Labels::Required(&mut classes);
        let mut file = read_examples(&path, &format, labels, &mut dictionary)?;
        classes.close(&mut file.examples);
        let vocab = CipherVocab::count(&file.examples, 1);
        file.examples.iter().for_each(|row| drop(vocab.encode(row)));
        vocab.names(&dictionary);
        Ok(())
    })
}

fn guesses() -> Vec<Reader> {
    let of = |name, files: [Input; 2]| {
        let names = files.each_ref().map(|file| file.name.clone());
        Reader::new(name, 700, files.into(), move |folder| {
            let files = names.each_ref().map(|name| folder.join(name));
            let loaded = config::load(None, &[])?;
            let reading = reading::detect(&files, &loaded);
            let further = reading::detect_further(&files[1], &loaded.experiment.format());
            reading::detect_texts(&files, &loaded)?;
            let file = &folder.join("out");
            let starter = Some(Starter {
                file,
                measures: false,
            });
            silently(|context| inspect(&files, &loaded, starter, context))?;
            reading?;
            further.map(drop)
        })
    };
    let csv_test = "id,text_a,text_b\n1,1|2,3\n2,4|7,5\n";
    vec![
        of(
            "inspect-tsv",
            [Input::new("a.tsv", PAIRS), Input::new("b.tsv", TEST)],
        ),
        of(
            "inspect-csv",
            [Input::new("a.csv", CSV), Input::new("b.csv", csv_test)],
        ),
        of(
            "inspect-text",
            [
                Input::packed("a.tsv.gz", format!("text\tlabel\n{SINGLE}"), Packing::Gzip),
                Input::new("b.tsv", "text\nab\ncd ef\n"),
            ],
        ),
    ]
}

/// Rows to align, with a checkpoint beside them.
struct Rows {
    dictionary: Dictionary,
    vocab: CipherVocab,
    plain: PlainVocab,
}

impl Rows {
    fn read(folder: &Path) -> Result<Self> {
        let mut dictionary = Dictionary::new(TokenKind::Text);
        let format = ExampleFormat {
            tokens: TokenKind::Text,
            ..ExampleFormat::default()
        };
        let path = folder.join("a.tsv");
        let examples = read_examples(&path, &format, Labels::Ignored, &mut dictionary)?.examples;
        Ok(Self {
            vocab: CipherVocab::count(&examples, 1),
            dictionary,
            plain: PlainVocab::open(&folder.join("bert"))?,
        })
    }

    fn align(&self, method: AlignMethod, folder: &Path, file: &Path) -> Result<()> {
        let (counts, file) = match method {
            AlignMethod::File => (None, Some(file)),
            _ => (Some((file, TokenCounts::read(file)?)), None),
        };
        let input = AlignInput {
            cipher: &self.vocab,
            dictionary: &self.dictionary,
            plain: &self.plain,
            counts: counts.as_ref().map(|(path, counts)| (*path, counts)),
            file,
            checkpoint: Some(folder),
            graph: None,
            key: Key::from_seed(1),
        };
        let mapping = align(method, &input)?.mapping;
        mapping.starts(&self.plain, true, input.key, 2);
        mapping.table(&self.dictionary, &self.plain)?;
        if let Some(file) = file {
            // Only what graph alignment has left is read again.
            let _ = cipherpet::align::reread(file, &input);
        }
        Ok(())
    }
}

fn alignments() -> Vec<Reader> {
    let with_rows = |file: Input| {
        let mut files = models::bert("bert");
        files.push(Input::new("a.tsv", PAIRS));
        let mut files: Vec<Input> = files.into_iter().map(Input::fixed).collect();
        files.push(file);
        files
    };
    let counts: String = (1..=8)
        .zip('a'..)
        .map(|(n, token)| format!("{token}\t{}\n", 20 / n))
        .collect();
    let by = |name, method, file: Input| {
        let at = file.name.clone();
        Reader::new(name, 1200, with_rows(file), move |folder| {
            let rows = Rows::read(folder)?;
            rows.align(method, &folder.join("bert"), &folder.join(&at))
        })
    };
    let known = Input::new("known.tsv", "cipher_id\tplain_token\n1\ta\n2\tb\n3\tc\n");
    vec![
        by(
            "counts",
            AlignMethod::Rank,
            Input::new("counts.tsv", counts),
        ),
        by(
            "mapping",
            AlignMethod::File,
            Input::new("mapping.tsv", MAPPING),
        ),
        by(
            "mapping-pairs",
            AlignMethod::File,
            Input::new("pairs.tsv", "1\ta\n2\tb\n3\tc\n"),
        ),
        Reader::new("anchors", 1200, with_rows(known), |folder| {
            let rows = Rows::read(folder)?;
            let path = folder.join("known.tsv");
            anchors::read(&path, &rows.dictionary, &rows.vocab).map(drop)
        }),
        graph(),
        vocabulary(),
    ]
}

/// Alignment by graph, with anchors and a key.
fn graph() -> Reader {
    let known = "cipher_id\tplain_token\n1\ta\n2\tb\n3\tc\n4\td\n5\te\n6\tf\n7\tg\n";
    let text = "a b c a d\nb b g a\nc d e e d c\nf f a b c d\n".repeat(4);
    let mut files: Vec<Input> = models::bert("bert").into_iter().map(Input::fixed).collect();
    files.push(Input::new("a.tsv", PAIRS.repeat(4)));
    files.push(Input::new("plain.txt", text));
    files.push(Input::new("anchors.tsv", "1\ta\n2\tb\n"));
    files.push(Input::new("key.tsv", known));
    Reader::new("align-graph", 150, files, |folder| {
        let loaded = config::load(None, &["vocab.min_count=1".to_owned()])?;
        let (anchors, key) = (folder.join("anchors.tsv"), folder.join("key.tsv"));
        let options = workbench::align::AlignOptions {
            files: &[folder.join("a.tsv")],
            settings: AlignConfig {
                method: AlignMethod::Graph,
                plain: vec![folder.join("plain.txt")],
                anchors: Some(anchors),
                unit: UnitChoice::Char,
                ..AlignConfig::default()
            },
            checkpoint: &folder.join("bert"),
            key: Some(&key),
            seed: 1,
        };
        let out = folder.join("out");
        silently(|context| {
            workbench::align::align(&options, &loaded.experiment, Some(&out), context)
        })
        .map(drop)
    })
}

/// The `vocab.txt` that a run has left.
fn vocabulary() -> Reader {
    let names = [
        "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[NO]", "[YES]",
    ]
    .join("\n");
    let file = Input::new("vocab.txt", format!("{names}\n7\n3\n12\n"));
    Reader::new("vocabulary", 1200, vec![file], |folder| {
        for kind in [TokenKind::Text, TokenKind::Number] {
            let mut dictionary = Dictionary::new(kind);
            let vocab = CipherVocab::open(&folder.join("vocab.txt"), &mut dictionary)?;
            vocab.names(&dictionary);
        }
        Ok(())
    })
}

fn plaintexts() -> Vec<Reader> {
    let with_bert = |file: Input| {
        let mut files: Vec<Input> = models::bert("bert").into_iter().map(Input::fixed).collect();
        files.push(file);
        files
    };
    let counted = |name, file: Input| {
        let at = file.name.clone();
        Reader::new(name, 1200, with_bert(file), move |folder| {
            let (bert, files) = (folder.join("bert"), [folder.join(&at)]);
            std::fs::create_dir_all(folder.join("out")).expect("room for a folder");
            silently(|context| {
                workbench::count::count(&bert, &files, &folder.join("out/counts.tsv"), context)
            })
            .map(drop)
        })
    };
    let enciphered = Reader::new(
        "cipher",
        500,
        with_bert(Input::new("a.csv", TABLE)),
        |folder| {
            let plain: [(TextKind, PathBuf); 1] = [(TextKind::Pair, folder.join("a.csv"))];
            let options = CipherOptions {
                unit: Unit::Char,
                merge: None,
                drop_below: 1,
                seed: 1,
            };
            let (bert, out) = (folder.join("bert"), folder.join("out"));
            silently(|context| cipher(&plain, &bert, &out, &options, context)).map(drop)
        },
    );
    vec![
        counted("corpus-lines", Input::new("a.txt", CORPUS)),
        counted("corpus-table", Input::new("a.csv", TABLE)),
        counted(
            "corpus-gzip",
            Input::packed("a.txt.gz", CORPUS, Packing::Gzip),
        ),
        enciphered,
    ]
}

fn submissions() -> Vec<Reader> {
    let plain = SubmitConfig::default();
    let table = SubmitConfig {
        format: SubmitFormat::Csv,
        ..plain.clone()
    };
    let of = |name, file: Input, submit: SubmitConfig| {
        let at = file.name.clone();
        let files = vec![file, Input::new("test.tsv", TEST)];
        Reader::new(name, 1200, files, move |folder| {
            let task = Task::binary_pairs();
            let (file, test) = (folder.join(&at), folder.join("test.tsv"));
            let format = ExampleFormat::default();
            submission::check((&file, &task), (&test, &format), &submit, None).map(drop)
        })
    };
    let like = |name, sample: &str, content: &str| {
        let files = vec![
            Input::new("a.csv", content),
            Input::new("sample.csv", sample),
        ];
        Reader::new(name, 1200, files, |folder| {
            let (file, sample) = (folder.join("a.csv"), folder.join("sample.csv"));
            let submit = SubmitConfig::default();
            submission::check_like(&file, &sample, None, &submit, None).map(drop)
        })
    };
    let ids = "id,score\n0,0.5\n1,-1.25\n2,3\n";
    vec![
        of(
            "submission-plain",
            Input::new("a.csv", "0.5\n-1.25\n3e-2\n"),
            plain.clone(),
        ),
        of("submission-table", Input::new("a.csv", ids), table.clone()),
        of(
            "submission-zip",
            Input::packed("a.zip", ids, Packing::Zip),
            table,
        ),
        like("submission-like", SAMPLE, "id,score\n7,0.25\n8,1\n9,0\n"),
        like(
            "submission-names",
            "id;label\na;sport\nb;news\n",
            "id;label\na;news\nb;\"sport\"\n",
        ),
    ]
}
