//! Contracts: read from their store, and held against what a source has.

pub(crate) mod difference;
pub(crate) mod matching;

use shared::{Contract, Settings, Storage};

use crate::error::SplitError;

/// Settings under the contract that `CONTRACT_URI` names; the same settings where there is none, or where it was read before.
pub async fn under_contract(storage: &dyn Storage, settings: Settings) -> Result<Settings, SplitError> {
    let Some(at) = settings.read.contract_uri.clone().filter(|_| settings.read.contract.is_none()) else {
        return Ok(settings);
    };
    let text = storage.get(&at).await.map_err(SplitError::ContractStore)?;
    let contract = Contract::parse(&text, &at).map_err(SplitError::from)?;
    settings.under(contract).map_err(SplitError::from)
}
