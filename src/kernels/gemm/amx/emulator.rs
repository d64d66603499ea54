//! Runs the AMX instructions of this crate on a CPU that has none, so that tests can execute the machine code of the tile
//! kernels anywhere: most machines that build and check this crate have no tiles. Tests on Linux only.
//!
//! Such a CPU raises SIGILL at an AMX instruction. The handler decodes it, does to the registers and the memory
//! what the architecture says (Intel's manual, volume 2, and for the configuration volume 1 chapter 18), and goes on
//! behind it. Every thread has tiles of its own, as on a CPU.
//!
//! Stricter than a CPU: what would raise an exception there stops the test process here with a message, and so does what
//! is allowed but never meant, such as a restart in the middle of a tile. Knows the six instructions that the kernels
//! use. Addresses of FS, GS, or 32 bits are unknown to it.

use std::cell::{Cell, RefCell};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a row of a tile, and most rows.
const ROW: usize = 64;
const ROWS: usize = 16;

/// Why an instruction cannot be carried out.
type Fault = &'static str;

/// One tile register: its shape (zeros where it is not configured), and its data.
#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    row_bytes: usize,
    data: [[u8; ROW]; ROWS],
}

const NO_TILE: Tile = Tile {
    rows: 0,
    row_bytes: 0,
    data: [[0; ROW]; ROWS],
};

impl Tile {
    /// Rows of bf16, denormals as zeros.
    fn as_bf16(&self) -> [[f32; ROW / 2]; ROWS] {
        self.data.map(|row| {
            std::array::from_fn(|i| {
                let bits = u16::from_le_bytes([row[2 * i], row[2 * i + 1]]);
                flush(f32::from_bits(u32::from(bits) << 16))
            })
        })
    }
}

/// The tile registers of a thread.
#[derive(Clone)]
struct Registers {
    tiles: [Tile; 8],
}

/// An instruction, its operands as registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instruction {
    Configure(Address),
    Release,
    Zero(usize),
    Load(usize, Address),
    Store(usize, Address),
    /// Sums, left, right.
    Multiply([usize; 3]),
}

/// `base + index * scale + displacement`, registers by their number in machine code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address {
    base: Option<u8>,
    index: Option<u8>,
    scale: u64,
    displacement: i64,
}

impl Registers {
    const fn new() -> Self {
        Self {
            tiles: [NO_TILE; 8],
        }
    }

    /// `ldtilecfg`.
    fn configure(&mut self, memory: &[u8; 64]) -> Result<(), Fault> {
        let mut tiles = [NO_TILE; 8];
        if memory[0] != 1 {
            return Err("a palette other than 1");
        }
        if memory[1] != 0 {
            return Err("a start row other than 0");
        }
        if memory[2..16].iter().any(|&byte| byte != 0) {
            return Err("reserved bytes of the configuration");
        }
        for number in 0..16 {
            let low = 16 + 2 * number;
            let row_bytes = usize::from(u16::from_le_bytes([memory[low], memory[low + 1]]));
            let rows = usize::from(memory[48 + number]);
            let Some(tile) = tiles.get_mut(number) else {
                if (rows, row_bytes) != (0, 0) {
                    return Err("a register beyond the eighth");
                }
                continue;
            };
            if rows > ROWS || row_bytes > ROW {
                return Err("a tile of more than 16 rows of 64 bytes");
            }
            if (rows == 0) != (row_bytes == 0) {
                return Err("a tile of rows without bytes, or bytes without rows");
            }
            (tile.rows, tile.row_bytes) = (rows, row_bytes);
        }
        self.tiles = tiles;
        Ok(())
    }

    /// A tile that is configured.
    fn tile(&mut self, number: usize) -> Result<&mut Tile, Fault> {
        let tile = &mut self.tiles[number];
        if tile.rows == 0 {
            return Err("a tile that is not configured");
        }
        Ok(tile)
    }

    /// `tilezero`.
    fn zero(&mut self, number: usize) -> Result<(), Fault> {
        self.tile(number)?.data = NO_TILE.data;
        Ok(())
    }

    /// `tileloadd`: bytes of row r at `first + r * stride`.
    ///
    /// # Safety
    /// They are readable.
    unsafe fn load(&mut self, number: usize, first: u64, stride: u64) -> Result<(), Fault> {
        let tile = self.tile(number)?;
        tile.data = NO_TILE.data; // beyond the shape
        for row in 0..tile.rows {
            let from = first.wrapping_add(stride.wrapping_mul(row as u64)) as *const u8;
            let out = tile.data[row].as_mut_ptr();
            // SAFETY: the caller's; a row of a tile holds 64 bytes, at least `row_bytes`.
            unsafe { std::ptr::copy_nonoverlapping(from, out, tile.row_bytes) };
        }
        Ok(())
    }

    /// `tilestored`.
    ///
    /// # Safety
    /// As [`Registers::load`], writable.
    unsafe fn store(&mut self, number: usize, first: u64, stride: u64) -> Result<(), Fault> {
        let tile = self.tile(number)?;
        for row in 0..tile.rows {
            let out = first.wrapping_add(stride.wrapping_mul(row as u64)) as *mut u8;
            // SAFETY: the caller's.
            unsafe { std::ptr::copy_nonoverlapping(tile.data[row].as_ptr(), out, tile.row_bytes) };
        }
        Ok(())
    }

    /// `tdpbf16ps`: within the instruction even and odd elements have sums of their own, added together and to the
    /// tile in the end.
    fn multiply(&mut self, numbers: [usize; 3]) -> Result<(), Fault> {
        let [c, a, b] = numbers;
        if c == a || c == b || a == b {
            return Err("a register twice in a product");
        }
        let (left, right) = (*self.tile(a)?, *self.tile(b)?);
        let sums = self.tile(c)?;
        let shapes = [sums.row_bytes, left.row_bytes, right.row_bytes];
        if shapes.iter().any(|bytes| bytes % 4 != 0) {
            return Err("a product of tiles with parts of numbers");
        }
        let fits = sums.rows == left.rows && sums.row_bytes == right.row_bytes;
        if !fits || left.row_bytes / 4 != right.rows {
            return Err("a product of tiles whose shapes do not fit");
        }
        let (left, right) = (left.as_bf16(), right.as_bf16());
        for (row, left) in left.iter().enumerate().take(sums.rows) {
            for column in 0..sums.row_bytes / 4 {
                let mut parts = [0.0; 2];
                for pair in 0..shapes[1] / 4 {
                    for (odd, part) in parts.iter_mut().enumerate() {
                        let (a, b) = (left[2 * pair + odd], right[pair][2 * column + odd]);
                        *part = flush(a.mul_add(b, *part));
                    }
                }
                let at = &mut sums.data[row][4 * column..4 * column + 4];
                let sum = f32::from_le_bytes([at[0], at[1], at[2], at[3]]);
                let sum = flush(flush(sum) + flush(parts[0] + parts[1]));
                at.copy_from_slice(&sum.to_le_bytes());
            }
        }
        Ok(())
    }
}

/// Denormals become zeros of their sign.
fn flush(x: f32) -> f32 {
    if x.is_subnormal() {
        0f32.copysign(x)
    } else {
        x
    }
}

/// The instruction at the start of `code`, and its length. `None` if it is not one of the six, in VEX encoding of 64-bit
/// code: `C4`, two bytes of prefix, opcode, ModRM, and maybe SIB and displacement.
fn decode(code: impl Fn(usize) -> u8) -> Option<(Instruction, usize)> {
    if code(0) != 0xc4 {
        return None;
    }
    let (first, second, opcode, modrm) = (code(1), code(2), code(3), code(4));
    let is_map_0f38 = first & 0x1f == 2;
    let is_w0_and_128 = second & 0x84 == 0;
    if !is_map_0f38 || !is_w0_and_128 {
        return None;
    }
    // The fourth bits of register numbers are stored inverted, and so is the register of the third operand.
    let extension = |bit: u8| if first & bit == 0 { 8 } else { 0 };
    let third = usize::from(!(second >> 3) & 0xf);
    let (mode, middle, low) = (modrm >> 6, modrm >> 3 & 7, modrm & 7);
    let register = usize::from(middle | extension(0x80));
    let tile = |number: usize| (number < 8).then_some(number);
    let address = || decode_address(&code, extension(0x40), extension(0x20));
    let in_memory = mode != 3;
    let prefix = second & 3; // none, 66, F3, F2
    Some(match (opcode, prefix) {
        (0x49, 0) if in_memory && middle == 0 && third == 0 => {
            let (address, length) = address()?;
            (Instruction::Configure(address), length)
        }
        (0x49, 0) if modrm == 0xc0 && third == 0 => (Instruction::Release, 5),
        (0x49, 3) if !in_memory && low == 0 && third == 0 => {
            (Instruction::Zero(tile(register)?), 5)
        }
        (0x4b, 3) if in_memory && low == 4 && third == 0 => {
            let (address, length) = address()?;
            (Instruction::Load(tile(register)?, address), length)
        }
        (0x4b, 2) if in_memory && low == 4 && third == 0 => {
            let (address, length) = address()?;
            (Instruction::Store(tile(register)?, address), length)
        }
        (0x5c, 2) if !in_memory => {
            let left = usize::from(low | extension(0x20));
            let operands = [tile(register)?, tile(left)?, tile(third)?];
            (Instruction::Multiply(operands), 5)
        }
        _ => return None,
    })
}

/// The memory operand of the ModRM byte at 4, and the length of the instruction.
fn decode_address(
    code: impl Fn(usize) -> u8,
    index_bit: u8,
    base_bit: u8,
) -> Option<(Address, usize)> {
    let (mode, low) = (code(4) >> 6, code(4) & 7);
    let (mut base, mut index, mut scale) = (Some(low | base_bit), None, 1);
    let mut at = 5;
    if low == 4 {
        let sib = code(at);
        at += 1;
        base = Some(sib & 7 | base_bit);
        let number = sib >> 3 & 7 | index_bit;
        index = (number != 4).then_some(number); // RSP cannot be an index
        scale = 1 << (sib >> 6);
    }
    let without_base = mode == 0 && base.is_some_and(|base| base & 7 == 5);
    if without_base && low != 4 {
        return None; // relative to the instruction
    }
    let size = match mode {
        0 if without_base => 4,
        0 => 0,
        1 => 1,
        _ => 4,
    };
    let mut bytes = [0; 4];
    (0..size).for_each(|i| bytes[i] = code(at + i));
    let displacement = match size {
        1 => i64::from(bytes[0] as i8),
        _ => i64::from(i32::from_le_bytes(bytes)),
    };
    let address = Address {
        base: base.filter(|_| !without_base),
        index,
        scale,
        displacement,
    };
    Some((address, at + size))
}

thread_local! {
    static REGISTERS: RefCell<Registers> = const { RefCell::new(Registers::new()) };
    static N_PRODUCTS: Cell<usize> = const { Cell::new(0) };
}

static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Whether AMX instructions are emulated in this process.
pub fn is_installed() -> bool {
    INSTALLED.load(Ordering::SeqCst)
}

/// Number of `tdpbf16ps` that this thread has had emulated.
pub fn n_products() -> usize {
    N_PRODUCTS.get()
}

/// Whether this thread's tiles are as after `tilerelease`.
pub fn is_released() -> bool {
    REGISTERS.with_borrow(|registers| registers.tiles.iter().all(|tile| tile.rows == 0))
}

/// From now on AMX instructions are emulated, on all threads. `false` where the CPU lacks what the kernels use beside them.
pub fn install_where_possible() -> bool {
    if !super::super::avx512::is_available() {
        return false;
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a zeroed sigaction is one without flags; the handler has the signature that SA_SIGINFO asks
        // for. It runs on the stack of the thread, which has room for it, and only at instructions of this crate, never in
        // the middle of an allocation or a lock.
        let result = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_illegal;
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO;
            libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut())
        };
        assert_eq!(result, 0, "a handler for SIGILL");
        INSTALLED.store(true, Ordering::SeqCst);
    });
    true
}

extern "C" fn on_illegal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: Linux passes the context of the interrupted thread, to this call alone.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let registers = &mut context.uc_mcontext.gregs;
    let place = registers[libc::REG_RIP as usize] as *const u8;
    // SAFETY: the CPU has read the instruction up to the byte where it found it illegal, and further bytes are read only as
    // its form demands them.
    let Some((instruction, length)) = decode(|i| unsafe { place.add(i).read() }) else {
        // Not ours: dies of it when this returns.
        // SAFETY: the default action is always allowed.
        unsafe { libc::signal(libc::SIGILL, libc::SIG_DFL) };
        return;
    };
    // SAFETY: the code that is emulated would access the same memory.
    let result = REGISTERS.with_borrow_mut(|tiles| unsafe { run(tiles, instruction, registers) });
    match result {
        Ok(()) => registers[libc::REG_RIP as usize] += length as i64,
        // A panic cannot pass the frame of a signal: it aborts, and its message says why.
        Err(fault) => panic!("{instruction:?}: {fault}"),
    }
}

/// # Safety
/// Memory operands are accessible.
unsafe fn run(
    tiles: &mut Registers,
    instruction: Instruction,
    registers: &[libc::greg_t],
) -> Result<(), Fault> {
    match instruction {
        Instruction::Configure(address) => {
            let (first, offset) = resolve(address, registers);
            let memory = first.wrapping_add(offset) as *const [u8; 64];
            // SAFETY: the caller's.
            tiles.configure(&unsafe { memory.read_unaligned() })
        }
        Instruction::Release => {
            *tiles = Registers::new();
            Ok(())
        }
        Instruction::Zero(tile) => tiles.zero(tile),
        Instruction::Load(tile, address) => {
            let (first, stride) = resolve(address, registers);
            // SAFETY: the caller's.
            unsafe { tiles.load(tile, first, stride) }
        }
        Instruction::Store(tile, address) => {
            let (first, stride) = resolve(address, registers);
            // SAFETY: the caller's.
            unsafe { tiles.store(tile, first, stride) }
        }
        Instruction::Multiply(operands) => {
            N_PRODUCTS.set(N_PRODUCTS.get() + 1);
            tiles.multiply(operands)
        }
    }
}

/// `base + displacement` and `index * scale`.
fn resolve(address: Address, registers: &[libc::greg_t]) -> (u64, u64) {
    /// Machine code counts registers in this order.
    const ORDER: [i32; 16] = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    let value = |number: Option<u8>| -> u64 {
        number.map_or(0, |number| {
            registers[ORDER[usize::from(number)] as usize] as u64
        })
    };
    let first = value(address.base).wrapping_add_signed(address.displacement);
    (first, value(address.index).wrapping_mul(address.scale))
}

#[cfg(test)]
mod tests;
