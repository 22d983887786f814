//! The keys and tensors of rotary embeddings, which all families spell alike.

use super::{Hparams, MAX_EMBD};
use crate::adapters::rope::{Arithmetic, Factors, Rope, Scaling, Style};
use crate::error::{Class, Error, Result, shown};
use crate::loader::Gguf;
use crate::profile::Profile;

impl Hparams<'_> {
    /// The rotation that the keys describe, without factors.
    pub(crate) fn rope(&self, style: Style, head_dim: usize, profile: Profile) -> Result<Rope> {
        let dims =
            self.opt_count("rope.dimension_count", 2..=head_dim.min(MAX_EMBD as usize) as u32)?;
        let dims = dims.unwrap_or(head_dim);
        if !dims.is_multiple_of(2) {
            let detail = format!("{dims} is odd, but elements turn in pairs");
            return Err(self.bad("rope.dimension_count", detail));
        }
        let base = self.opt_positive("rope.freq_base")?.unwrap_or(10_000.0);
        let scaling = self.scaling()?;
        let mut magnitude = self.opt_positive("rope.scaling.attn_factor")?.unwrap_or(1.0);
        if let Scaling::Yarn { factor, .. } = scaling {
            magnitude *= 1.0 + 0.1 * factor.ln();
        }
        let arithmetic = match profile {
            Profile::Reference => Arithmetic::Exact,
            Profile::LlamaCpp => Arithmetic::F32Recurrence,
        };
        Ok(Rope { style, dims, base, scaling, factors: Factors::None, magnitude, arithmetic })
    }

    fn scaling(&self) -> Result<Scaling> {
        let factor = self.opt_positive("rope.scaling.factor")?;
        let linear = factor.or(self.opt_positive("rope.scale_linear")?);
        match self.opt_str("rope.scaling.type")? {
            None | Some("linear") => {
                Ok(linear.map_or(Scaling::None, |factor| Scaling::Linear { factor }))
            }
            // The factors of LongRoPE are tensors.
            Some("none" | "longrope") => Ok(Scaling::None),
            Some("yarn") => {
                let key = "rope.scaling.factor";
                let factor = factor.ok_or_else(|| self.bad(key, "absent, but the type is yarn"))?;
                let original = self.count("rope.scaling.original_context_length", 1..=u32::MAX)?;
                let beta =
                    |name: &str, usual| Ok::<_, Error>(self.opt_positive(name)?.unwrap_or(usual));
                Ok(Scaling::Yarn {
                    factor,
                    original: original as u32,
                    fast: beta("rope.scaling.yarn_beta_fast", 32.0)?,
                    slow: beta("rope.scaling.yarn_beta_slow", 1.0)?,
                    rounded: true,
                })
            }
            Some(other) => {
                let detail = format!("{}; none, linear, yarn and longrope are known", shown(other));
                Err(self.bad("rope.scaling.type", detail))
            }
        }
    }

    /// The tensor `name`, if it is there: one number above zero for each pair.
    pub(crate) fn factors(
        &self,
        file: &Gguf,
        name: &str,
        pairs: usize,
    ) -> Result<Option<Vec<f32>>> {
        let Some(view) = file.tensor(name) else { return Ok(None) };
        let refuse = |class, detail| Err(Error::refused(class, view.info.place(), detail));
        if view.info.format.name != "F32" {
            return refuse(Class::BadTensorType, format!("{}, wanted F32", view.info.format.name));
        }
        if view.info.elements() != pairs as u64 {
            let detail = format!("shape {}, wanted [{pairs}]", view.info.shape);
            return refuse(Class::ShapeMismatch, detail);
        }
        let number = |bytes: &[u8]| bytes.try_into().map_or(f32::NAN, f32::from_le_bytes);
        let factors: Vec<f32> = view.data.chunks_exact(4).map(number).collect();
        match factors.iter().position(|factor| !(factor.is_finite() && *factor > 0.0)) {
            None => Ok(Some(factors)),
            Some(at) => {
                let detail = format!("element {at} is {:?}, no finite number above 0", factors[at]);
                refuse(Class::BadHparam, detail)
            }
        }
    }
}
