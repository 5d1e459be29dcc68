//! The ready line, and the demo's data and commands.

use super::{ServeError, Service};
use crate::config::PublicUrl;
use crate::demo::{self, Demo, DemoError, Status};
use crate::exports::{TokenPaths, exports};
use canopy_app::App;
use canopy_domain::port::{PrincipalKind, TokenClaims};

/// The demo data, if the store has it.
#[derive(Debug)]
pub(super) enum DemoState {
    /// Data to try the service with; `seeded` if this start created it.
    Demo { demo: Box<Demo>, seeded: bool },
    /// Other data.
    Other,
}

pub(super) async fn prepare_demo(app: &App) -> Result<DemoState, DemoError> {
    match demo::status(app).await? {
        Status::Empty => {
            demo::seed(app).await?;
            match demo::status(app).await? {
                Status::Demo(demo) => Ok(DemoState::Demo { demo, seeded: true }),
                Status::Empty | Status::Other => Ok(DemoState::Other),
            }
        }
        Status::Demo(demo) => Ok(DemoState::Demo { demo, seeded: false }),
        Status::Other => Ok(DemoState::Other),
    }
}

/// The validity of the demo's token, in seconds.
const DEMO_TOKEN_SECONDS: i64 = 24 * 60 * 60;

impl Service<'_> {
    /// Returns the text that announces the ready service, with commands to try on the demo data.
    pub(super) fn ready_text(
        &self,
        app: &App,
        local: &PublicUrl,
        demo_state: Option<DemoState>,
    ) -> Result<String, ServeError> {
        let mut text = format!("Canopy is ready on {}\n", local.as_str());
        match demo_state {
            None => {}
            Some(DemoState::Other) => {
                text.push_str("\n# The store is not empty and has other data: no demo data was created.\n");
            }
            Some(DemoState::Demo { demo, seeded }) => {
                let now = app.now();
                let claims = TokenClaims {
                    subject: "demo-admin".into(),
                    principal: PrincipalKind::Admin,
                    account: Some(demo.place.account),
                    environment: Some(demo.place.environment),
                    expires_at: now.plus_seconds(DEMO_TOKEN_SECONDS),
                };
                let token = self.signer.sign(&claims, now)?;
                let base = self.config.service.public_url.as_ref().unwrap_or(local);
                text.push_str(if seeded {
                    "\n# Demo data: account acme, application notes, environment development, 16 nodes, 200 people.\n"
                } else {
                    "\n# The store has the demo data of an earlier start.\n"
                });
                text.push_str(
                    "# For your shell: a token for an admin of acme, valid for 24 hours, and the URLs it opens.\n",
                );
                let paths = TokenPaths {
                    account: Some(demo::ACCOUNT),
                    environment: Some((demo::APPLICATION, demo::ENVIRONMENT)),
                };
                text.push_str(&exports(base, &token, paths));
                text.push_str(&demo::commands(&demo).to_string());
            }
        }
        Ok(text)
    }
}
