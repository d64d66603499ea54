//! The part of pickle (protocols 2 to 5, <https://peps.python.org/pep-0307/>) that `torch.save` writes for a table of tensors.
//!
//! In: bytes. Out: a [`Value`]. A pickle is a program that may call any function; this reader calls none. It knows the three that
//! rebuild tensors and tables and says what they would have made; any other name is refused where it is called. Text that calls itself
//! a number or a tuple that is too short is an error, never a panic, and nothing is allocated by a length that is not there.

use std::collections::HashMap;
use std::rc::Rc;

use safetensors::Dtype;

use crate::checkpoint::weight_file::CALLED;

/// What a pickle holds, as far as tensors need it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`, booleans, numbers that are no whole ones, and whatever nobody asks for.
    Other,
    /// A whole number.
    Int(i64),
    /// Text. Copies are cheap, as a pickle may ask for any number of them.
    Text(Rc<str>),
    /// A tuple or a list.
    List {
        /// What is in it. Copies are cheap.
        values: Rc<[Value]>,
        /// Levels of lists and tables, 1 or more. Known without a look inside: many lists may hold the same one.
        depth: usize,
    },
    /// A table.
    Dict {
        /// In its order.
        pairs: Vec<(Value, Value)>,
        /// As that of a list.
        depth: usize,
    },
    /// A name in a module: `torch.FloatStorage`.
    Global(Rc<str>),
    /// Where numbers lie.
    Storage(StorageKey),
    /// A tensor.
    Tensor(Tensor),
    /// Where the items of a list begin.
    Mark,
}

/// An entry of the archive with numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageKey {
    /// Of its numbers; none for types that no BERT is stored in.
    pub dtype: Option<Dtype>,
    /// Its name under `data/`.
    pub key: Rc<str>,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Where its numbers lie.
    pub storage: StorageKey,
    /// Of its first number, in numbers.
    pub offset: usize,
    /// Lengths of its axes.
    pub shape: Vec<usize>,
    /// From one number to the next along each axis.
    pub strides: Vec<usize>,
}

impl Tensor {
    /// Bytes of its numbers, `width` each; the largest number where there are more.
    pub fn n_bytes(&self, width: usize) -> usize {
        let lengths = self.shape.iter();
        match self.shape.contains(&0) {
            true => 0,
            false => lengths.fold(width, |n, &length| n.saturating_mul(length)),
        }
    }

    /// Its numbers of `width` bytes each, row after row; none where they are not all in the storage.
    pub fn gather(&self, storage: &[u8], width: usize) -> Option<Vec<u8>> {
        let n = self
            .shape
            .iter()
            .try_fold(1_usize, |n, &length| n.checked_mul(length))?;
        if self.strides.len() != self.shape.len() || n.checked_mul(width)? > storage.len() {
            return None; // a view that repeats numbers is none of a checkpoint
        }
        let mut bytes = Vec::with_capacity(n * width);
        let mut at = vec![0; self.shape.len()];
        for _ in 0..n {
            let steps = at.iter().zip(&self.strides);
            let place = steps
                .into_iter()
                .try_fold(self.offset, |place, (&i, &stride)| {
                    place.checked_add(stride.checked_mul(i)?)
                })?;
            let begin = place.checked_mul(width)?;
            bytes.extend_from_slice(storage.get(begin..begin.checked_add(width)?)?);
            for axis in (0..at.len()).rev() {
                at[axis] += 1;
                if at[axis] < self.shape[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
        Some(bytes)
    }
}

impl Value {
    fn list(values: Vec<Value>) -> Self {
        let depth = 1 + values.iter().map(Self::depth).max().unwrap_or(0);
        Self::List {
            values: values.into(),
            depth,
        }
    }

    fn dict(pairs: Vec<(Value, Value)>) -> Self {
        let depth = 1 + deepest(&pairs);
        Self::Dict { pairs, depth }
    }

    /// Levels of lists and tables; none of what is neither.
    fn depth(&self) -> usize {
        match self {
            Self::List { depth, .. } | Self::Dict { depth, .. } => *depth,
            _ => 0,
        }
    }
}

/// Levels of the deepest key or value: a table may be either.
fn deepest(pairs: &[(Value, Value)]) -> usize {
    let depths = pairs
        .iter()
        .map(|(key, value)| key.depth().max(value.depth()));
    depths.max().unwrap_or(0)
}

/// Tables within tables; a checkpoint has two.
const MOST_DEPTH: usize = 64;
const TOO_DEEP: &str = "tables within tables without end";
/// Axes of a tensor; a BERT has two. Each tensor has lengths of its own, so that a long list is not to be copied for each.
const MOST_AXES: usize = 8;
/// Bytes of a module and its function; each has a text of its own.
const LONGEST_NAME: usize = 200;

/// The value of a pickle.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine = Machine {
        bytes,
        stack: Vec::new(),
        memo: HashMap::new(),
    };
    while let Some(code) = machine.next() {
        if code == b'.' {
            return machine.pop();
        }
        machine.step(code)?;
    }
    Err("a pickle that ends too soon".to_owned())
}

struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<'a> Machine<'a> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(n)
            .ok_or("a pickle that ends too soon")?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A little-endian number of `n` bytes, at most 8.
    fn number(&mut self, n: usize) -> Result<u64, String> {
        let bytes = self.take(n)?.iter().rev();
        Ok(bytes.fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn text(&mut self, length: u64) -> Result<Rc<str>, String> {
        let length = usize::try_from(length).map_err(|_| "a text without an end")?;
        let text = std::str::from_utf8(self.take(length)?);
        Ok(text.map_err(|_| "a text that is not UTF-8")?.into())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let end = self.bytes.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or("a pickle that ends too soon")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a name that is not UTF-8".to_owned())
    }

    fn pop(&mut self) -> Result<Value, String> {
        let value = self.stack.pop();
        value.ok_or_else(|| "a pickle that takes what it has not made".to_owned())
    }

    /// What stands above the last mark, which goes too.
    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|value| *value == Value::Mark);
        let mark = mark.ok_or("a pickle without a mark")?;
        let values = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(values)
    }

    fn remember(&mut self, at: u64) -> Result<(), String> {
        let at = u32::try_from(at).map_err(|_| "a pickle with too many parts")?;
        let top = self.pop()?;
        // Nobody asks for a full table by its number, nor for a list of lists: copies stay small, and nothing doubles.
        let kept = match &top {
            Value::Dict { pairs, .. } if !pairs.is_empty() => Value::Other,
            Value::List { depth, .. } if *depth > 1 => Value::Other,
            other => other.clone(),
        };
        self.memo.insert(at, kept);
        self.stack.push(top);
        Ok(())
    }

    fn recall(&mut self, at: u64) -> Result<(), String> {
        let value = u32::try_from(at).ok().and_then(|at| self.memo.get(&at));
        let value = value.ok_or("a pickle that asks for what it has not kept")?;
        self.stack.push(value.clone());
        Ok(())
    }

    fn step(&mut self, code: u8) -> Result<(), String> {
        let value = match code {
            0x80 => return self.take(1).map(drop), // protocol
            0x95 => return self.take(8).map(drop), // frame
            b'(' => Value::Mark,
            b'N' | 0x88 | 0x89 => Value::Other,
            b'G' => {
                self.take(8)?;
                Value::Other
            }
            b'J' => Value::Int(i64::from(self.number(4)? as u32 as i32)),
            b'K' => Value::Int(self.number(1)? as i64),
            b'M' => Value::Int(self.number(2)? as i64),
            0x8a => {
                let n = self.number(1)? as usize;
                self.long(n)?
            }
            b'X' => {
                let length = self.number(4)?;
                Value::Text(self.text(length)?)
            }
            0x8c => {
                let length = self.number(1)?;
                Value::Text(self.text(length)?)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                global(module, name)?
            }
            0x93 => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => global(&module, &name)?,
                _ => return Err("a name that is no text".to_owned()),
            },
            b')' | b']' => Value::list(Vec::new()),
            b'}' => Value::dict(Vec::new()),
            0x85..=0x87 => {
                let n = usize::from(code - 0x84);
                let begin = self.stack.len().checked_sub(n);
                let begin = begin.ok_or("a pickle that takes what it has not made")?;
                Value::list(self.stack.split_off(begin))
            }
            b't' | b'l' => Value::list(self.pop_to_mark()?),
            b'd' => Value::dict(pairs(self.pop_to_mark()?)?),
            b'Q' => storage(self.pop()?)?,
            b'R' => {
                let arguments = self.pop()?;
                call(self.pop()?, arguments)?
            }
            b'q' => {
                let at = self.number(1)?;
                return self.remember(at);
            }
            b'r' => {
                let at = self.number(4)?;
                return self.remember(at);
            }
            0x94 => return self.remember(self.memo.len() as u64),
            b'h' => {
                let at = self.number(1)?;
                return self.recall(at);
            }
            b'j' => {
                let at = self.number(4)?;
                return self.recall(at);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.extend(vec![(key, value)]);
            }
            b'u' => {
                let items = pairs(self.pop_to_mark()?)?;
                return self.extend(items);
            }
            b'a' => {
                self.pop()?;
                return self.forget_items();
            }
            b'e' => {
                self.pop_to_mark()?;
                return self.forget_items();
            }
            b'b' => return self.pop().map(drop), // the state of a table, such as `_metadata`
            b'0' => return self.pop().map(drop),
            other => {
                return Err(format!(
                    "the pickle code {other:#04x}, which no table of tensors needs"
                ));
            }
        };
        if value.depth() > MOST_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        self.stack.push(value);
        Ok(())
    }

    /// A whole number of `n` bytes; one that has more than 8 is none that a tensor needs.
    fn long(&mut self, n: usize) -> Result<Value, String> {
        if n > 8 {
            self.take(n)?;
            return Ok(Value::Other);
        }
        let number = self.number(n)?;
        let shift = 64 - 8 * n as u32;
        Ok(Value::Int(match n {
            0 => 0,
            _ => (number << shift) as i64 >> shift,
        }))
    }

    /// Items that a table gets after it was made: as deep as those it was made with.
    fn extend(&mut self, items: Vec<(Value, Value)>) -> Result<(), String> {
        let with_items = 1 + deepest(&items);
        if with_items > MOST_DEPTH {
            return Err(TOO_DEEP.to_owned());
        }
        match self.stack.last_mut() {
            Some(Value::Dict { pairs, depth }) => {
                pairs.extend(items);
                *depth = with_items.max(*depth);
                Ok(())
            }
            _ => Err("items of what is no table".to_owned()),
        }
    }

    /// Lists that grow hold nothing that a tensor needs.
    fn forget_items(&mut self) -> Result<(), String> {
        match self.stack.last() {
            Some(Value::List { .. }) => Ok(()),
            _ => Err("items of what is no list".to_owned()),
        }
    }
}

fn global(module: &str, name: &str) -> Result<Value, String> {
    if module.len() + name.len() > LONGEST_NAME {
        return Err("a function with a name without end".to_owned());
    }
    Ok(Value::Global(format!("{module}.{name}").into()))
}

fn pairs(values: Vec<Value>) -> Result<Vec<(Value, Value)>, String> {
    let mut pairs = Vec::with_capacity(values.len() / 2);
    let mut values = values.into_iter();
    while let Some(key) = values.next() {
        let value = values.next().ok_or("a key without a value")?;
        pairs.push((key, value));
    }
    Ok(pairs)
}

/// `('storage', torch.FloatStorage, '0', 'cpu', 1024)`
fn storage(identity: Value) -> Result<Value, String> {
    let Value::List { values, .. } = &identity else {
        return Err("a storage without a name".to_owned());
    };
    match &values[..] {
        [
            Value::Text(kind),
            Value::Global(class),
            Value::Text(key),
            ..,
        ] if &**kind == "storage" => Ok(Value::Storage(StorageKey {
            dtype: dtype(class),
            key: key.clone(),
        })),
        _ => Err("a storage without a name".to_owned()),
    }
}

fn dtype(class: &str) -> Option<Dtype> {
    match class {
        "torch.FloatStorage" => Some(Dtype::F32),
        "torch.HalfStorage" => Some(Dtype::F16),
        "torch.BFloat16Storage" => Some(Dtype::BF16),
        "torch.DoubleStorage" => Some(Dtype::F64),
        "torch.LongStorage" => Some(Dtype::I64),
        "torch.IntStorage" => Some(Dtype::I32),
        _ => None,
    }
}

/// What a call would have made.
fn call(function: Value, arguments: Value) -> Result<Value, String> {
    let (Value::Global(name), Value::List { values, .. }) = (&function, arguments) else {
        return Err("a call of what is no function".to_owned());
    };
    match &**name {
        "collections.OrderedDict" => Ok(Value::dict(Vec::new())),
        "torch._utils._rebuild_tensor_v2" => tensor(&values),
        "torch._utils._rebuild_parameter" => match values.first() {
            Some(tensor @ Value::Tensor(_)) => Ok(tensor.clone()),
            _ => Err("a parameter without a tensor".to_owned()),
        },
        other => Err(format!("a call of `{}`, {CALLED}", other.escape_debug())),
    }
}

/// Of (storage, offset, shape, strides, …).
fn tensor(arguments: &[Value]) -> Result<Value, String> {
    let lengths = |values: &[Value]| -> Option<Vec<usize>> {
        let length = |value: &Value| match value {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        };
        values.iter().map(length).collect()
    };
    let parts = match arguments {
        [
            Value::Storage(storage),
            Value::Int(offset),
            Value::List { values: shape, .. },
            Value::List {
                values: strides, ..
            },
            ..,
        ] => {
            if shape.len().max(strides.len()) > MOST_AXES {
                return Err(format!("a tensor of more than {MOST_AXES} axes"));
            }
            let offset = usize::try_from(*offset).ok();
            offset
                .zip(lengths(shape))
                .zip(lengths(strides))
                .map(|parts| (storage, parts))
        }
        _ => None,
    };
    let (storage, ((offset, shape), strides)) = parts.ok_or("a tensor without its shape")?;
    Ok(Value::Tensor(Tensor {
        storage: storage.clone(),
        offset,
        shape,
        strides,
    }))
}
