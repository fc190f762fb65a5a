//! Numbers and texts as few bytes: the letters that every record is spelled with.

use super::error::Damage;

/// Appends a number, seven bits per byte, the lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_byte(number) | 0x80);
        number >>= 7;
    }
    out.push(low_byte(number));
}

/// Appends a number as its distance to another one, so that neighbours in time take a byte or two.
pub(super) fn put_distance(out: &mut Vec<u8>, from: u64, to: u64) {
    let distance = to.wrapping_sub(from).cast_signed();
    put_number(out, ((distance << 1) ^ (distance >> 63)).cast_unsigned());
}

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

/// Bytes that are read from the front.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Result<u8, Damage> {
        let (byte, rest) = self.0.split_first().ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Damage("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn number(&mut self) -> Result<u64, Damage> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damage("a number is too long"))
    }

    pub(super) fn distance(&mut self, from: u64) -> Result<u64, Damage> {
        let folded = self.number()?;
        let distance = (folded >> 1) ^ (folded & 1).wrapping_neg();
        Ok(from.wrapping_add(distance))
    }

    pub(super) fn length(&mut self) -> Result<usize, Damage> {
        let length = usize::try_from(self.number()?).map_err(|_| Damage("a length is too great"))?;
        // Whatever is counted takes at least a byte, so a wild length cannot reserve memory.
        if length > self.0.len() { Err(Damage("it ends too early")) } else { Ok(length) }
    }

    pub(super) fn small(&mut self) -> Result<u32, Damage> {
        u32::try_from(self.number()?).map_err(|_| Damage("a count is too great"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Damage> {
        let length = self.length()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Damage> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damage("a text is not UTF-8"))
    }

    pub(super) fn end(&self) -> Result<(), Damage> {
        if self.0.is_empty() { Ok(()) } else { Err(Damage("it is too long")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_distances_survive_at_their_limits() {
        let numbers = [0, 1, 127, 128, 300, 1 << 35, u64::MAX - 1, u64::MAX];
        for from in numbers {
            for to in numbers {
                let mut out = Vec::new();
                put_number(&mut out, to);
                put_distance(&mut out, from, to);
                let mut input = Input::new(&out);
                assert_eq!(input.number(), Ok(to));
                assert_eq!(input.distance(from), Ok(to));
                assert_eq!(input.end(), Ok(()));
            }
        }
    }

    #[test]
    fn a_wild_length_is_damage_and_reserves_nothing() {
        assert!(Input::new(&[0xff, 0xff, 0xff, 0xff, 0x7f]).bytes().is_err());
        assert!(Input::new(&[0xff; 12]).number().is_err());
        assert!(Input::new(&[]).byte().is_err());
    }
}
