//! Filters of fingerprints, which answer most look-ups of absent keys without a read.
//!
//! A run has a filter for each group of its pages, not one for all of them, so that a merge of any size builds
//! filters in bounded memory. The filters are binary fuse filters (Graf and Lemire, "Binary Fuse Filters: Fast and
//! Smaller Than Xor Filters", 2022): about 19 bits a fingerprint, wrong once in 65,536 times.

use std::io::{self, Read};

use xorf::{BinaryFuse16, Descriptor, Filter};

/// The number of pages that share a filter.
pub(super) const FILTER_PAGES: u64 = 256;

/// The number of fingerprints in the arrays of the largest filter that is read. A group of pages has fewer.
const SLOTS_MAX: u32 = 1 << 22;

/// A group of consecutive pages and its filter.
pub(super) struct FilterGroup {
    /// The first page of the group.
    pub(super) first_page: u64,
    /// The first fingerprint of the group.
    pub(super) first: u64,
    /// The filter, or `None` if it could not be built. Then each look-up reads the pages.
    filter: Option<BinaryFuse16>,
}

impl FilterGroup {
    /// Builds the filter of a group from its distinct fingerprints.
    pub(super) fn build(first_page: u64, fingerprints: &[u64]) -> Self {
        let filter = BinaryFuse16::try_from(fingerprints).ok();
        // A filter that misses one of its members would hide a key, and the payment would be made again.
        let is_complete =
            |filter: &BinaryFuse16| fingerprints.iter().all(|member| filter.contains(member));
        Self {
            first_page,
            first: fingerprints.first().copied().unwrap_or_default(),
            filter: filter.filter(is_complete),
        }
    }

    /// Returns false if the group certainly does not have the fingerprint.
    pub(super) fn may_contain(&self, fingerprint: u64) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| filter.contains(&fingerprint))
    }

    /// Returns the bytes in memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        let slots = self
            .filter
            .as_ref()
            .map_or(0, |filter| filter.fingerprints.len());
        size_of::<Self>() + slots * size_of::<u16>()
    }

    /// Appends the group to the output.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first_page.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        let slots = self
            .filter
            .as_ref()
            .map_or(0, |filter| filter.fingerprints.len());
        let slots = u32::try_from(slots).unwrap_or(0);
        out.extend_from_slice(&slots.to_le_bytes());
        if let Some(filter) = &self.filter {
            let descriptor = &filter.descriptor;
            out.extend_from_slice(&descriptor.seed.to_le_bytes());
            out.extend_from_slice(&descriptor.segment_length.to_le_bytes());
            out.extend_from_slice(&descriptor.segment_count_length.to_le_bytes());
            out.extend(
                filter
                    .fingerprints
                    .iter()
                    .flat_map(|slot| slot.to_le_bytes()),
            );
        }
    }

    /// Reads a group. Malformed input is an error of the kind `InvalidData`.
    pub(super) fn decode(input: &mut impl Read) -> io::Result<Self> {
        let first_page = read_u64(input)?;
        let first = read_u64(input)?;
        let slots = read_u32(input)?;
        if slots == 0 {
            return Ok(Self {
                first_page,
                first,
                filter: None,
            });
        }
        let seed = read_u64(input)?;
        let segment_length = read_u32(input)?;
        let segment_count_length = read_u32(input)?;
        // A look-up takes one slot in each of three neighbouring segments, and indexes without a check of its own.
        let reach = u64::from(segment_count_length) + 2 * u64::from(segment_length);
        if slots > SLOTS_MAX || !segment_length.is_power_of_two() || reach > u64::from(slots) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut fingerprints = Vec::new();
        let mut slot = [0; 2];
        for _ in 0..slots {
            input.read_exact(&mut slot)?;
            fingerprints.push(u16::from_le_bytes(slot));
        }
        let descriptor = Descriptor {
            seed,
            segment_length,
            segment_length_mask: segment_length - 1,
            segment_count_length,
        };
        Ok(Self {
            first_page,
            first,
            filter: Some(BinaryFuse16 {
                descriptor,
                fingerprints: fingerprints.into_boxed_slice(),
            }),
        })
    }
}

/// Reads a number of four bytes.
pub(super) fn read_u32(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Reads a number of eight bytes.
pub(super) fn read_u64(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(count: u64) -> Vec<u64> {
        let spread = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (1..=count).map(spread).collect()
    }

    #[test]
    fn a_filter_of_any_size_has_its_members_after_it_was_read() {
        for count in (1..40).chain([255, 256, 1_000, 80_000]) {
            let members = members(count);
            let mut bytes = Vec::new();
            FilterGroup::build(7, &members).encode(&mut bytes);
            let read = FilterGroup::decode(&mut &bytes[..]).expect("it was written");
            assert!(read.filter.is_some(), "{count}");
            assert_eq!((read.first_page, read.first), (7, members[0]));
            assert!(
                members.iter().all(|member| read.may_contain(*member)),
                "{count}"
            );
            let absent = (1..=10_000).filter(|absent| read.may_contain(*absent));
            assert!(absent.count() < 10, "{count}");
        }
    }

    #[test]
    fn a_filter_that_reaches_beyond_its_slots_is_rejected() {
        let mut bytes = Vec::new();
        FilterGroup::build(0, &members(100)).encode(&mut bytes);
        // The length of the segments is after the page, the first member, the number of slots and the seed.
        let segments_at = 8 + 8 + 4 + 8;
        for wrong in [0, 3, 1 << 31] {
            let mut changed = bytes.clone();
            changed[segments_at..segments_at + 4].copy_from_slice(&u32::to_le_bytes(wrong));
            let read = FilterGroup::decode(&mut &changed[..]);
            assert!(read.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData));
        }
    }
}
