//! Whole jobs: what a command does, from files to files.
//!
//! | folder or file | what it does |
//! |---|---|
//! | [`run`] | the main job: a plan of models, each trained into its folder, and the answer of the run; several experiments |
//! | [`run_folder`] | what stands in the folder of a run, who may write there, and how it is read back |
//! | [`pretrain`](mod@pretrain) | from plain lines to a BERT: its vocabulary, its network, its folder; the fit is that of [`run`] |
//! | [`submission`] | writes and checks submissions |
//! | [`ensemble`] | blends runs, with its arithmetic |
//! | [`report`](mod@report) | shows runs as a page |
//! | [`reading`] | how files are read where no setting says it |
//! | [`inspect`] | looks at a new competition: survey, split, cost, a starter file |
//! | [`duplicates`](mod@duplicates) | what comes twice or nearly so, what of train stands in test, labels that contradict each other |
//! | [`generate`](mod@generate), [`augment`](mod@augment) | sentences of the same meaning as those of a file, written by the model of a run; as pairs for the training rows of its folds |
//! | [`predict`], [`board`], [`score`], [`pack`] | read runs: more scores, all runs at a glance, what a leaderboard said, a zip |
//! | [`zero_shot`](mod@zero_shot) | scores without labels: next sentence prediction, prompts |
//! | [`embed`](mod@embed), [`search`](mod@search) | vectors of texts, read by [`sentences`]; the nearest of them |
//! | [`slurm`] | the script of a cluster for a run |
//! | [`count`], [`mod@align`] ([`alignment`] is its way and that of [`run`]), [`audit`], [`cipher`] | token counts, mappings, how reversible a masking is, ciphers with a key |
//! | [`mod@hash`] | codes of vectors or tokens, and an index of them |
//! | [`archive`], [`disk`], [`machine`], [`number`], [`mod@table`] | zips, room on the disk, the machine's names, scores and tables as text |
//!
//! Every long job takes a [`Context`]. Does not parse arguments and prints nothing: `cli` does.
//!
//! How to add a command: 1. its work as a file here, taking plain values and a [`Context`] and
//! returning a serialisable report; 2. a file of the same name in `cli/` with its arguments, an example
//! and a function that prints the report; 3. a variant in `cli/mod.rs`; 4. its snapshots in `tests/it`.

pub mod align;
pub mod alignment;
pub mod archive;
pub mod audit;
pub mod augment;
pub mod board;
pub mod cipher;
mod context;
pub mod count;
pub mod disk;
pub mod duplicates;
pub mod embed;
pub mod ensemble;
pub mod generate;
pub mod hash;
pub mod inspect;
pub mod machine;
pub mod number;
pub mod pack;
pub mod predict;
pub mod pretrain;
pub mod reading;
pub mod report;
pub mod run;
pub mod run_folder;
pub mod score;
pub mod search;
pub mod sentences;
pub mod slurm;
pub mod stop;
pub mod submission;
pub mod table;
pub mod zero_shot;

pub use context::Context;
pub use stop::Stop;
