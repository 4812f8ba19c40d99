//! Answers to questions that one look at the chain answers. Rule: the handlers of the node API v1 as
//! of release 4.1.1.

use std::sync::Arc;

use peerage_mw::{Block, Commitment, Hash, Header, Output, Unspent};

use super::Grin;
use super::page::{
    BlockPage, Found, HeightOutputs, OutputView, ProofPage, StatusPage, SyncState, Tip,
};
use super::types::{Heights, Name, Range, Response, View};
use crate::limits::GRIN_OUTPUTS_MAX;

impl Grin {
    /// The last block, in brief.
    pub(super) fn tip(&self) -> Tip {
        let header = self.store.tip();
        Tip {
            height: header.height(),
            hash: header.hash(),
            previous: header.previous(),
            total_difficulty: header.total_difficulty(),
        }
    }

    pub(super) fn status(&self) -> Response {
        Response::Status(Arc::new(StatusPage {
            connections: self.links.len() as u64,
            tip: self.tip(),
            sync: self.sync_state(),
        }))
    }

    pub(super) fn sync_state(&self) -> SyncState {
        let current = self.store.tip().height();
        let header = self.store.best_header().height();
        let (highest, work) = self.links.best();
        if self.links.is_empty() {
            SyncState::AwaitingPeers
        } else if work > self.store.best_header().total_difficulty() && highest > header {
            SyncState::Headers {
                current: header,
                highest,
            }
        } else if header > current {
            SyncState::Bodies {
                current,
                highest: header,
            }
        } else {
            SyncState::InSync
        }
    }

    pub(super) fn show_block(&self, name: &Name, view: View, nonce: u64) -> Response {
        let block = match name {
            Name::Height(height) if self.store.state().header(*height).is_none() => {
                return failed(400, "failed to parse input: Not found.");
            }
            // Of a compacted block there is no more than a header.
            Name::Height(height) => self.store.block_at(*height),
            Name::Digits(digits) => {
                let by_hash = hash_of(digits).and_then(|hash| self.store.block(&hash));
                by_hash.or_else(|| {
                    let height = self.made_at(digits)?;
                    self.store.block_at(height)
                })
            }
        };
        let Some(block) = block else {
            return Response::NotFound;
        };
        let outputs = block.outputs();
        let outputs = outputs.filter(|output| !view.compact || output.is_coinbase());
        let outputs = outputs
            .map(|output| self.view_output(block.header(), output, view))
            .collect();
        Response::Block(Arc::new(BlockPage {
            block: block.clone(),
            outputs,
            view,
            nonce,
        }))
    }

    /// The block that made the unspent output of this commitment.
    fn made_at(&self, digits: &[u8]) -> Option<u64> {
        let commitment = commitment_of(digits)?;
        Some(self.store.state().unspent(&commitment)?.height)
    }

    pub(super) fn show_header(&self, name: &Name) -> Response {
        let found = match name {
            Name::Height(height) => self.store.state().header(*height),
            Name::Digits(digits) => match self.made_at(digits) {
                Some(height) => self.store.state().header(height),
                None => hash_of(digits).and_then(|hash| self.store.header(&hash)),
            },
        };
        found.cloned().map_or(Response::NotFound, Response::Header)
    }

    /// An output inside of its block.
    fn view_output(&self, header: &Header, output: Output, view: View) -> OutputView {
        let state = self.store.state();
        let commitment = output.commitment();
        let found = state.unspent(&commitment);
        let merkle = match found {
            Some(_) if output.is_coinbase() && !view.no_merkle => {
                state.merkle_proof(&commitment, header)
            }
            Some(_) | None => None,
        };
        OutputView {
            spent: found.is_none(),
            height: found.map_or_else(|| header.height(), |found| found.height),
            position: found.map_or(0, |found| found.position + 1),
            merkle,
            proof: view.proofs && !view.compact,
            output,
        }
    }

    /// The outputs of one block that are asked for.
    pub(super) fn outputs_of(&self, block: &Block, asked: &Heights) -> Option<HeightOutputs> {
        let view = View {
            proofs: asked.proofs,
            ..View::default()
        };
        let wanted =
            |output: &Output| asked.only.is_empty() || asked.only.contains(&output.commitment());
        let outputs = block.outputs().filter(wanted);
        let outputs: Vec<OutputView> = outputs
            .map(|output| self.view_output(block.header(), output, view))
            .collect();
        (!outputs.is_empty()).then(|| HeightOutputs {
            header: block.header().clone(),
            outputs,
        })
    }

    pub(super) fn by_ids(&self, ids: &[Commitment]) -> Response {
        let state = self.store.state();
        let found = ids.iter().filter_map(|id| {
            let found = state.unspent(id)?;
            Some(Found {
                commitment: *id,
                height: found.height,
                position: found.position + 1,
            })
        });
        Response::ByIds(found.collect())
    }

    pub(super) fn kernel(
        &self,
        excess: &Commitment,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Response {
        let found = self
            .store
            .state()
            .kernel(excess, from.unwrap_or(0), to.unwrap_or(u64::MAX));
        Response::Kernel(found.cloned().map(Arc::new))
    }

    /// The newest leaves of a range. The original has no bound on how many.
    pub(super) fn last(&self, range: Range, count: u64) -> Response {
        let count = usize::try_from(count.min(GRIN_OUTPUTS_MAX)).unwrap_or(0);
        let state = self.store.state();
        let hashes = match range {
            Range::Kernels => state.last_kernels(count),
            Range::Outputs => state.last_outputs(count),
            Range::RangeProofs => state.last_proofs(count),
        };
        Response::Hashes(hashes.into())
    }

    pub(super) fn merkle_proof(&self, commitment: Option<&Commitment>) -> Response {
        let state = self.store.state();
        let found = commitment.and_then(|commitment| {
            let position = state.unspent(commitment)?.position + 1;
            let proof = state.merkle_proof(commitment, state.tip())?;
            Some(ProofPage { proof, position })
        });
        found.map_or(Response::NotFound, |page| {
            Response::MerkleProof(Arc::new(page))
        })
    }

    /// Positions from 1 between which the outputs of some heights lie.
    pub(super) fn heights_to_positions(&self, start: u64, end: Option<u64>) -> Response {
        let state = self.store.state();
        let end = end.filter(|end| *end > 0);
        let end = end.unwrap_or_else(|| state.tip().height());
        let last = match start.checked_sub(1) {
            None => Some(0),
            Some(before) => state.header(before).map(Header::output_mmr_size),
        };
        let highest = state.header(end).map(Header::output_mmr_size);
        let (Some(last), Some(highest)) = (last, highest) else {
            return Response::NotFound;
        };
        Response::Outputs(Arc::new(super::page::OutputPage {
            highest,
            last: last + 1,
            outputs: Vec::new(),
        }))
    }
}

/// An unspent output as pages of unspent outputs show it.
pub(super) fn view_unspent(unspent: &Unspent) -> OutputView {
    OutputView {
        output: unspent.output.clone(),
        spent: false,
        height: unspent.height,
        position: unspent.position + 1,
        merkle: None,
        proof: true,
    }
}

pub(super) fn failed(status: u16, text: &str) -> Response {
    Response::Failed(status, text.into())
}

/// The first 32 bytes; more is ignored, as stock nodes do.
fn hash_of(digits: &[u8]) -> Option<Hash> {
    digits.first_chunk().map(|bytes| Hash(*bytes))
}

fn commitment_of(digits: &[u8]) -> Option<Commitment> {
    digits.first_chunk().map(|bytes| Commitment(*bytes))
}
