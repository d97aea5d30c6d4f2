//! The numbers of assets: their assignment, and their restoration from a checkpoint.

use imbl::OrdMap;

use crate::id::AssetId;
use crate::limits::ASSETS_QUOTA_MAX;
use crate::number::AssetNumber;
use crate::persistent_array::PersistentArray;

/// The numbers of an economy's assets.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct NumberTable {
    /// Names by number. A number that is not restored yet has none.
    names: PersistentArray<Option<AssetId>>,
    pub(super) of_assets: OrdMap<AssetId, AssetNumber>,
}

impl NumberTable {
    /// Returns how many asset numbers are assigned.
    pub(crate) fn assets(&self) -> usize {
        self.names.len()
    }

    /// Returns the id of the asset that has a number.
    pub(super) fn name(&self, number: AssetNumber) -> Option<&AssetId> {
        self.names.get(usize::try_from(number.0).ok()?)?.as_ref()
    }

    /// Returns the numbers of all assets.
    pub(crate) fn into_asset_numbers(self) -> OrdMap<AssetId, AssetNumber> {
        self.of_assets
    }

    /// Assigns a number to an asset, unless it has one.
    pub(crate) fn number_asset(&mut self, asset: &AssetId) {
        if !self.of_assets.contains_key(asset) {
            let number = u32::try_from(self.names.len());
            let number = number.expect("the quota of assets is below 2^32");
            self.names.push(Some(asset.clone()));
            self.of_assets.insert(asset.clone(), AssetNumber(number));
        }
    }

    /// Assigns a number of a checkpoint. Returns false if it has a name already, or is beyond the highest quota.
    ///
    /// A checkpoint is in the order of names, so a number may be far beyond the present ones; the quota bounds
    /// the memory that a wrong one takes.
    pub(super) fn restore_asset(&mut self, number: AssetNumber, name: AssetId) -> bool {
        let Ok(index) = usize::try_from(number.0) else {
            return false;
        };
        if u64::from(number.0) >= ASSETS_QUOTA_MAX || !self.names.fill(index, name.clone()) {
            return false;
        }
        self.of_assets.insert(name, number).is_none()
    }
}
