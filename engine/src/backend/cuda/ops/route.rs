//! Picks experts.

use super::small;
use crate::backend::cuda::backend::Routing;
use crate::backend::cuda::kernels::Kernels;
use crate::backend::cuda::module::Function;
use crate::backend::cuda::rows::Rows;
use crate::backend::cuda::stream::Stream;
use crate::error::{Error, Result};

pub(in crate::backend::cuda) struct Route(Function);

impl Route {
    pub(super) fn new(kernels: &Kernels) -> Result<Route> {
        Ok(Route(kernels.function("route", "route_f32")?))
    }

    pub(in crate::backend::cuda) fn run(
        &self,
        stream: &Stream,
        scores: &Rows,
        routing: &Routing,
    ) -> Result<()> {
        let (experts, used) = (scores.width(), routing.used);
        if used == 0 || used > experts {
            return Err(Error::Usage(format!("{used} experts of {experts} are to be picked")));
        }
        let launch = self.0.launch().grid(scores.count(), 1, 1).block(32, 1);
        let launch = launch.arg(&routing.ids).arg(&routing.shares).arg(scores);
        launch.arg(small(experts)?).arg(small(used)?).on(stream)
    }
}
