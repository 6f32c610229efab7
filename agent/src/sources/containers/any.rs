//! A reader of `google.protobuf.Any`: bytes, and the name of what they are (any.proto; its form is
//! that of protobuf's encoding.md).
//!
//! Fields that are not known are passed over, and of one that comes twice the last one counts, as
//! every reader of protobuf must do. Groups, which nobody writes any more, are refused.

/// Bytes of a type that has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Any<'a> {
    /// What the bytes are, as a URL without a scheme; as it was written.
    pub type_url: &'a [u8],
    /// The bytes.
    pub value: &'a [u8],
}

/// The message in `bytes`; nothing where they are none.
pub fn read(mut bytes: &[u8]) -> Option<Any<'_>> {
    let mut any = Any::default();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let field = tag >> 3;
        if field == 0 {
            return None;
        }
        match tag & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => {
                take(&mut bytes, 8)?;
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let content = take(&mut bytes, length)?;
                match field {
                    1 => any.type_url = content,
                    2 => any.value = content,
                    _ => {}
                }
            }
            5 => {
                take(&mut bytes, 4)?;
            }
            _ => return None,
        }
    }
    Some(any)
}

/// The number at the beginning, seven bits a byte, the lowest first; ten bytes at most.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let byte = *take(bytes, 1)?.first()?;
        let bits = u64::from(byte & 0x7f);
        // Of the tenth only the lowest bit has a place.
        if place == 9 && byte > 1 {
            return None;
        }
        number |= bits << (7 * place);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A message of these fields.
    pub(in super::super) fn written(type_url: &str, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, content) in [(0x0a, type_url.as_bytes()), (0x12, value)] {
            bytes.push(tag);
            let mut length = content.len();
            while length >= 0x80 {
                bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            bytes.push(u8::try_from(length).unwrap());
            bytes.extend(content);
        }
        bytes
    }

    #[test]
    fn a_message_is_read_whatever_stands_beside_its_fields() {
        let any =
            |type_url: &'static str, value| Some(Any { type_url: type_url.as_bytes(), value });
        let long = [b'x'; 300];
        for (bytes, expect) in [
            (written("a/Spec", b"{}"), any("a/Spec", b"{}".as_slice())),
            (written("a/Spec", &long), any("a/Spec", &long)),
            (Vec::new(), any("", b"")),
            // A number, eight bytes, four bytes and a text of fields that we do not know.
            (b"\x18\x96\x01\x21abcdefgh\x2dabcd\x32\x01x\x12\x01y".to_vec(), any("", b"y")),
            (b"\x12\x01x\x12\x01y".to_vec(), any("", b"y")),
            (b"\x12\x05x".to_vec(), None),
            (b"\x12".to_vec(), None),
            (b"\x02\x01x".to_vec(), None),
            (b"\x0b\x0c".to_vec(), None),
            (b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(), any("", b"")),
            (b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02".to_vec(), None),
            (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(), None),
        ] {
            assert_eq!(read(&bytes), expect, "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_lies_within_the_bytes(bytes: Vec<u8>) {
            if let Some(any) = read(&bytes) {
                assert!(any.type_url.len() + any.value.len() <= bytes.len());
            }
        }
    }
}
