//! Making coins and moving them, always in the same way: equal keys and equal wishes give equal bytes.
//!
//! Keys are those of a standard Grin wallet: its seed, the paths m/0/0/n of its first account, switch
//! commitments, and range proofs that the seed can rewind. So a stock wallet restored from the same
//! seed finds these outputs by scanning the chain, values and paths included.
//!
//! Signatures take their nonce from the key and the message, so no two messages share one. The excess
//! of a transaction comes from the seed and what the transaction does.

use core::fmt;

use grin_core::core::hash::Hashed;
use grin_core::core::{self as grin, TxKernel};
use grin_core::libtx::proof::{self, ProofBuild as _, ProofBuilder};
use grin_keychain::{ExtKeychain, Identifier, Keychain, SwitchCommitmentType, mnemonic};
use grin_util::secp::key::{PublicKey, SecretKey};
use grin_util::secp::{Message, aggsig, pedersen};

use crate::body::{Fee, KernelFeatures, Output, OutputFeatures};
use crate::curve::{self, OffCurve, curve};
use crate::ids::{Commitment, Offset};
use crate::rules::Rules;
use crate::state::Coinbase;
use crate::transaction::Transaction;

const SWITCH: SwitchCommitmentType = SwitchCommitmentType::Regular;

/// The n-th key of the first account: m/0/0/n. Below 2^31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIndex(u32);

impl KeyIndex {
    /// The key of this number, if there is one.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        (number < 1 << 31).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    fn identifier(self) -> Identifier {
        ExtKeychain::derive_key_id(3, 0, 0, self.0, 0)
    }
}

/// An output that a wallet can spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coin {
    /// By which key.
    pub key: KeyIndex,
    /// Nanogrin.
    pub value: u64,
    /// Of which kind the output is.
    pub features: OutputFeatures,
}

/// What a transaction is to do. What the coins hold must be what is made and the fee together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What it spends.
    pub spend: Vec<Coin>,
    /// What it makes: keys and nanogrin.
    pub make: Vec<(KeyIndex, u64)>,
    /// Its kernel.
    pub kernel: KernelFeatures,
    /// What its excess is made from besides the seed. Two transactions with the same word have the same
    /// excess, which relative locks are about. Without a word the excess depends on all of the above.
    pub excess_word: Option<Vec<u8>>,
}

/// Why nothing was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// A kernel of a transaction cannot be a reward's.
    #[error("a transaction has no coinbase kernel")]
    CoinbaseKernel,
    /// A fee or a relative height out of its range.
    #[error("no such fee or relative height")]
    Features,
    /// Keys, sums or proofs that the curve does not have; does not happen by chance.
    #[error(transparent)]
    OffCurve(#[from] OffCurve),
    /// The seed is not of 16 to 64 bytes, or the words are none of a seed.
    #[error("not a seed")]
    Seed,
    /// More is spent than made and paid, or less.
    #[error("{spent} are spent, {made} are made and paid")]
    Unbalanced {
        /// Nanogrin that the coins hold.
        spent: u128,
        /// Nanogrin of the outputs and the fee.
        made: u128,
    },
}

/// The keys of one seed. Its value never appears in any text.
#[derive(Clone)]
pub struct Wallet {
    keychain: ExtKeychain,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wallet(..)")
    }
}

impl Wallet {
    /// The wallet of a seed as stock wallets keep it, mostly of 32 bytes.
    pub fn from_seed(seed: &[u8]) -> Result<Self, WalletError> {
        if !(16..=64).contains(&seed.len()) {
            return Err(WalletError::Seed);
        }
        let keychain = ExtKeychain::from_seed(seed, false).map_err(|_| WalletError::Seed)?;
        Ok(Self { keychain })
    }

    /// The wallet of the words that stock wallets show for a seed: 24 for one of 32 bytes.
    pub fn from_words(words: &str) -> Result<Self, WalletError> {
        let seed = mnemonic::to_entropy(words).map_err(|_| WalletError::Seed)?;
        Self::from_seed(&seed)
    }

    /// The words that stock wallets show for a seed of 16, 20, 24, 28 or 32 bytes.
    pub fn words(seed: &[u8]) -> Result<String, WalletError> {
        mnemonic::from_entropy(seed).map_err(|_| WalletError::Seed)
    }

    /// Makes the reward of a block that collects `fees`. About 20 ms, for its range proof.
    ///
    /// A wallet that mines with one key per height never makes the same commitment twice.
    pub fn coinbase(&self, key: KeyIndex, fees: u64) -> Result<Coinbase, WalletError> {
        let value = Rules::reward(fees);
        let output = self.output(key, value, OutputFeatures::Coinbase)?;
        let claimed = curve::unblinded(value)?;
        let excess = curve::sum([output.commitment().into()], [claimed])?;
        let secret = self.secret(key, value)?;
        let kernel = sign(grin::KernelFeatures::Coinbase, &secret, excess)?;
        Ok(Coinbase::new(fees, output, kernel))
    }

    /// Makes a transaction of one kernel. About 20 ms for each output. Its inputs tell their features,
    /// so it can be written in every format.
    pub fn pay(&self, payment: &Payment) -> Result<Transaction, WalletError> {
        check_balance(payment)?;
        let features = kernel_features(payment.kernel)?;
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let (mut plus, mut minus) = (Vec::new(), Vec::new());
        for coin in &payment.spend {
            let secret = self.secret(coin.key, coin.value)?;
            let commitment = self.commitment(coin)?;
            inputs.push(grin::Input::new(coin.features.into(), commitment.into()));
            minus.push(Offset(secret.0));
        }
        for (key, value) in &payment.make {
            outputs.push(self.output(*key, *value, OutputFeatures::Plain)?);
            plus.push(Offset(self.secret(*key, *value)?.0));
        }
        let message = features.kernel_sig_msg().map_err(|_| OffCurve)?;
        let secret = self.excess_secret(payment, &inputs, &outputs, &message)?;
        minus.push(Offset(secret.0));
        // With nothing made, the offset is the negative of all that was spent and signed by.
        let offset = match plus.is_empty() {
            true => curve::subtract_offset(Offset::ZERO, curve::sum_offsets(minus, [])?)?,
            false => curve::sum_offsets(plus, minus)?,
        };
        let excess = curve().commit(0, secret.clone()).map_err(|_| OffCurve)?;
        let kernel = sign(features, &secret, excess.into())?;
        inputs.sort_unstable();
        let inputs = grin::Inputs::from(inputs.as_slice());
        let made = grin::Transaction::new(inputs, &outputs, &[kernel]);
        Ok(Transaction::new(made.with_offset(offset.into())))
    }

    /// The commitment under which a coin lies in the chain.
    pub fn commitment(&self, coin: &Coin) -> Result<Commitment, WalletError> {
        let identifier = coin.key.identifier();
        let made = self.keychain.commit(coin.value, &identifier, SWITCH);
        Ok(made.map_err(|_| OffCurve)?.into())
    }

    /// What an output is to this wallet; nothing if it is not of its first account. Well below a
    /// millisecond.
    #[must_use]
    pub fn recognise(&self, output: &Output) -> Option<Coin> {
        let builder = ProofBuilder::new(&self.keychain);
        let (commitment, range_proof) = (output.inner().commitment(), output.inner().proof);
        let found = proof::rewind(curve(), &builder, commitment, None, range_proof);
        let (value, identifier, _) = found.ok()??;
        let path = identifier.to_path();
        let key = KeyIndex::new(u64::from(u32::from(path.path[2])))?;
        (key.identifier() == identifier).then_some(Coin {
            key,
            value,
            features: output.features(),
        })
    }

    fn secret(&self, key: KeyIndex, value: u64) -> Result<SecretKey, OffCurve> {
        let secret = self.keychain.derive_key(value, &key.identifier(), SWITCH);
        secret.map_err(|_| OffCurve)
    }

    fn output(
        &self,
        key: KeyIndex,
        value: u64,
        features: OutputFeatures,
    ) -> Result<grin::Output, OffCurve> {
        let (keychain, identifier) = (&self.keychain, key.identifier());
        let commitment = keychain.commit(value, &identifier, SWITCH);
        let commitment = commitment.map_err(|_| OffCurve)?;
        let builder = ProofBuilder::new(keychain);
        let made = proof::create(
            keychain,
            &builder,
            value,
            &identifier,
            SWITCH,
            commitment,
            None,
        );
        let made = made.map_err(|_| OffCurve)?;
        Ok(grin::Output::new(features.into(), commitment, made))
    }

    /// The secret excess of a payment.
    fn excess_secret(
        &self,
        payment: &Payment,
        inputs: &[grin::Input],
        outputs: &[grin::Output],
        message: &Message,
    ) -> Result<SecretKey, OffCurve> {
        let mut text = b"peerage excess".to_vec();
        // A secret of the seed's that nothing else reveals.
        let zero = pedersen::Commitment([0; 33]);
        let private = ProofBuilder::new(&self.keychain).private_nonce(curve(), &zero);
        text.extend(private.map_err(|_| OffCurve)?.0);
        match &payment.excess_word {
            Some(word) => {
                text.push(1);
                text.extend(word);
            }
            None => {
                text.push(0);
                text.extend((inputs.len() as u64).to_be_bytes());
                text.extend(inputs.iter().flat_map(|input| input.commit.0));
                text.extend(outputs.iter().flat_map(|output| output.commitment().0));
                text.extend_from_slice(&message[..]);
            }
        }
        Ok(number(&text))
    }
}

fn check_balance(payment: &Payment) -> Result<(), WalletError> {
    let fee = payment.kernel.fee().ok_or(WalletError::CoinbaseKernel)?;
    let spent = payment
        .spend
        .iter()
        .map(|coin| u128::from(coin.value))
        .sum();
    let made: u128 = payment
        .make
        .iter()
        .map(|(_, value)| u128::from(*value))
        .sum();
    let made = made + u128::from(fee.value());
    if spent == made {
        Ok(())
    } else {
        Err(WalletError::Unbalanced { spent, made })
    }
}

fn kernel_features(features: KernelFeatures) -> Result<grin::KernelFeatures, WalletError> {
    let fields = |fee: Fee| {
        let fields = grin::FeeFields::new(u64::from(fee.shift()), fee.value());
        fields.map_err(|_| WalletError::Features)
    };
    Ok(match features {
        KernelFeatures::Coinbase => return Err(WalletError::CoinbaseKernel),
        KernelFeatures::Plain { fee } => grin::KernelFeatures::Plain { fee: fields(fee)? },
        KernelFeatures::HeightLocked { fee, lock_height } => grin::KernelFeatures::HeightLocked {
            fee: fields(fee)?,
            lock_height,
        },
        KernelFeatures::NoRecentDuplicate {
            fee,
            relative_height,
        } => {
            let relative = grin::NRDRelativeHeight::new(relative_height);
            grin::KernelFeatures::NoRecentDuplicate {
                fee: fields(fee)?,
                relative_height: relative.map_err(|_| WalletError::Features)?,
            }
        }
    })
}

/// Signs features by the secret behind `excess`.
fn sign(
    features: grin::KernelFeatures,
    secret: &SecretKey,
    excess: Commitment,
) -> Result<TxKernel, OffCurve> {
    let mut kernel = TxKernel::with_features(features);
    kernel.excess = excess.into();
    let message = kernel.msg_to_sign().map_err(|_| OffCurve)?;
    let public = kernel.excess.to_pubkey(curve()).map_err(|_| OffCurve)?;
    kernel.excess_sig = signature(secret, &public, &message)?;
    Ok(kernel)
}

fn signature(
    secret: &SecretKey,
    public: &PublicKey,
    message: &Message,
) -> Result<grin_util::secp::Signature, OffCurve> {
    let mut text = b"peerage nonce".to_vec();
    text.extend(secret.0);
    text.extend_from_slice(&message[..]);
    let nonce = number(&text);
    let (public, nonce) = (Some(public), Some(&nonce));
    let signed = aggsig::sign_single(curve(), message, secret, nonce, None, None, public, None);
    signed.map_err(|_| OffCurve)
}

/// A number of the curve from a text. Nearly every hash is one; where it is not, the next one is taken.
fn number(text: &[u8]) -> SecretKey {
    let mut hash = Hashed::hash(&text.to_vec());
    loop {
        match SecretKey::from_slice(curve(), hash.as_bytes()) {
            Ok(number) => return number,
            Err(_) => hash = Hashed::hash(&hash.to_vec()),
        }
    }
}
