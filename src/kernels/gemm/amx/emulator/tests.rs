//! The emulator against the assembler's bytes and against products by hand.

use super::*;

fn at(base: u8, index: Option<u8>, scale: u64, displacement: i64) -> Address {
    Address {
        base: Some(base),
        index,
        scale,
        displacement,
    }
}

fn decoded(code: &[u8]) -> Option<(Instruction, usize)> {
    decode(|i| code[i])
}

/// A configuration of these (rows, bytes a row) from register 0 on.
fn configuration(shapes: &[(u8, u16)]) -> [u8; 64] {
    let mut memory = [0; 64];
    memory[0] = 1;
    for (number, (rows, row_bytes)) in shapes.iter().enumerate() {
        memory[16 + 2 * number..][..2].copy_from_slice(&row_bytes.to_le_bytes());
        memory[48 + number] = *rows;
    }
    memory
}

#[test]
fn instructions_are_decoded_as_the_assembler_writes_them() {
    use Instruction::*;
    // Bytes by the GNU assembler. Registers 0 to 15: rax rcx rdx rbx rsp rbp rsi rdi r8 to r15.
    let cases: [(&[u8], Instruction); 13] = [
        // ldtilecfg [rax]
        (
            &[0xc4, 0xe2, 0x78, 0x49, 0x00],
            Configure(at(0, None, 1, 0)),
        ),
        // ldtilecfg [r9+rcx*8-0x80]
        (
            &[0xc4, 0xc2, 0x78, 0x49, 0x44, 0xc9, 0x80],
            Configure(at(9, Some(1), 8, -0x80)),
        ),
        // tilerelease
        (&[0xc4, 0xe2, 0x78, 0x49, 0xc0], Release),
        // tilezero tmm5
        (&[0xc4, 0xe2, 0x7b, 0x49, 0xe8], Zero(5)),
        // tileloadd tmm0, [rdx+rsi*1]
        (
            &[0xc4, 0xe2, 0x7b, 0x4b, 0x04, 0x32],
            Load(0, at(2, Some(6), 1, 0)),
        ),
        // tileloadd tmm7, [r13+r12*1+0x1000]
        (
            &[0xc4, 0x82, 0x7b, 0x4b, 0xbc, 0x25, 0x00, 0x10, 0x00, 0x00],
            Load(7, at(13, Some(12), 1, 0x1000)),
        ),
        // tileloadd tmm2, [rbp+rbx*4]
        (
            &[0xc4, 0xe2, 0x7b, 0x4b, 0x54, 0x9d, 0x00],
            Load(2, at(5, Some(3), 4, 0)),
        ),
        // tileloadd tmm3, [rsp+r15*2-0x40]
        (
            &[0xc4, 0xa2, 0x7b, 0x4b, 0x5c, 0x7c, 0xc0],
            Load(3, at(4, Some(15), 2, -0x40)),
        ),
        // tileloadd tmm1, [r8]
        (
            &[0xc4, 0xc2, 0x7b, 0x4b, 0x0c, 0x20],
            Load(1, at(8, None, 1, 0)),
        ),
        // tileloadd tmm1, [r14*8+0x40]
        (
            &[0xc4, 0xa2, 0x7b, 0x4b, 0x0c, 0xf5, 0x40, 0x00, 0x00, 0x00],
            Load(
                1,
                Address {
                    base: None,
                    ..at(0, Some(14), 8, 0x40)
                },
            ),
        ),
        // tilestored [r12+r8*1+0x40], tmm6
        (
            &[0xc4, 0x82, 0x7a, 0x4b, 0x74, 0x04, 0x40],
            Store(6, at(12, Some(8), 1, 0x40)),
        ),
        // tdpbf16ps tmm0, tmm4, tmm6
        (&[0xc4, 0xe2, 0x4a, 0x5c, 0xc4], Multiply([0, 4, 6])),
        // tdpbf16ps tmm3, tmm5, tmm7
        (&[0xc4, 0xe2, 0x42, 0x5c, 0xdd], Multiply([3, 5, 7])),
    ];
    for (code, instruction) in cases {
        assert_eq!(decoded(code), Some((instruction, code.len())));
    }
}

#[test]
fn other_instructions_are_left_alone() {
    let cases: [(&str, &[u8]); 6] = [
        ("ud2", &[0x0f, 0x0b]),
        ("tileloaddt1", &[0xc4, 0xe2, 0x79, 0x4b, 0x04, 0x32]),
        ("sttilecfg [rax]", &[0xc4, 0xe2, 0x79, 0x49, 0x00]),
        ("tdpbssd", &[0xc4, 0xe2, 0x4b, 0x5e, 0xc4]),
        ("andn eax, ebx, ecx", &[0xc4, 0xe2, 0x60, 0xf2, 0xc1]),
        ("ldtilecfg with W set", &[0xc4, 0xe2, 0xf8, 0x49, 0x00]),
    ];
    for (name, code) in cases {
        assert_eq!(decoded(code), None, "{name}");
    }
}

#[test]
fn configurations_that_the_cpu_refuses_are_refused() {
    let mut registers = Registers::new();
    let changed = |at: usize, to: u8| {
        let mut memory = configuration(&[(16, 64)]);
        memory[at] = to;
        memory
    };
    let cases = [
        (changed(0, 0), "a palette other than 1"),
        (changed(0, 2), "a palette other than 1"),
        (changed(1, 1), "a start row other than 0"),
        (changed(15, 1), "reserved bytes of the configuration"),
        (changed(63, 1), "a register beyond the eighth"),
        (changed(16 + 30, 1), "a register beyond the eighth"),
        (
            configuration(&[(17, 64)]),
            "a tile of more than 16 rows of 64 bytes",
        ),
        (
            configuration(&[(16, 65)]),
            "a tile of more than 16 rows of 64 bytes",
        ),
        (
            configuration(&[(16, 0)]),
            "a tile of rows without bytes, or bytes without rows",
        ),
        (
            configuration(&[(0, 4)]),
            "a tile of rows without bytes, or bytes without rows",
        ),
    ];
    for (memory, fault) in cases {
        assert_eq!(registers.configure(&memory), Err(fault));
    }
    assert_eq!(registers.zero(0), Err("a tile that is not configured"));
    assert_eq!(registers.configure(&configuration(&[(16, 64)])), Ok(()));
    assert_eq!(registers.zero(0), Ok(()));
    assert_eq!(registers.zero(1), Err("a tile that is not configured"));
}

#[test]
fn products_need_three_tiles_that_fit() {
    let mut registers = Registers::new();
    // c (3 × 5), a (3 × 2 pairs), b (2 pairs × 5); then wrong ones of each.
    let shapes = [(3, 20), (3, 8), (2, 20), (4, 20), (3, 12), (2, 16), (3, 6)];
    assert_eq!(registers.configure(&configuration(&shapes)), Ok(()));
    assert_eq!(registers.multiply([0, 1, 2]), Ok(()));
    for operands in [[0, 0, 2], [0, 1, 0], [0, 1, 1]] {
        let fault = Err("a register twice in a product");
        assert_eq!(registers.multiply(operands), fault, "{operands:?}");
    }
    for operands in [[3, 1, 2], [0, 4, 2], [0, 1, 5]] {
        let fault = Err("a product of tiles whose shapes do not fit");
        assert_eq!(registers.multiply(operands), fault, "{operands:?}");
    }
    let fault = Err("a product of tiles with parts of numbers");
    assert_eq!(registers.multiply([0, 6, 2]), fault);
    assert_eq!(
        registers.multiply([0, 1, 7]),
        Err("a tile that is not configured")
    );
}

#[test]
fn a_product_by_hand() {
    let mut registers = Registers::new();
    let shapes = [(2, 8), (2, 4), (1, 8)];
    assert_eq!(registers.configure(&configuration(&shapes)), Ok(()));
    // One pair: a = [[1, 2], [3, denormal]], b = [[5, 7], [11, 13]] in pairs (5, 11), (7, 13).
    let a: [u16; 4] = [0x3f80, 0x4000, 0x4040, 0x0001];
    let b: [u16; 4] = [0x40a0, 0x4130, 0x40e0, 0x4150];
    let mut c = [[100f32, 200.0], [1e-40, 400.0]];
    // SAFETY: rows of 4 bytes, 8 bytes, 8 bytes, in arrays of as many rows.
    unsafe {
        assert_eq!(registers.load(1, a.as_ptr() as u64, 4), Ok(()));
        assert_eq!(registers.load(2, b.as_ptr() as u64, 8), Ok(()));
        assert_eq!(registers.load(0, c.as_ptr() as u64, 8), Ok(()));
        assert_eq!(registers.multiply([0, 1, 2]), Ok(()));
        assert_eq!(registers.store(0, c.as_mut_ptr() as u64, 8), Ok(()));
    }
    // 100 + 1·5 + 2·11, 200 + 1·7 + 2·13; denormals count as 0: 3·5, 400 + 3·7.
    assert_eq!(c, [[127.0, 233.0], [15.0, 421.0]]);
}
