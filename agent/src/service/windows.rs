//! The agent as a service of Windows, or in a console.
//!
//! The service manager is told `start pending`, `running` and `stop pending`, each with how long it
//! may take, and `stopped` with whether it went well. Where nobody started us as a service, Ctrl-C
//! stops.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use windows_service::service::{
    ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept,
    ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceState, ServiceStatus,
    ServiceType,
};
use windows_service::service_control_handler::ServiceStatusHandle;
use windows_service::service_control_handler::{self, ServiceControlHandlerResult};
use windows_service::service_dispatcher;
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use crate::run::{self, Controls};

/// The service's name, which the installer gives it.
const NAME: &str = "driftline-agent";

/// How long opening a large spool, and ending a pass, may take.
const PENDING: Duration = Duration::from_secs(30);

/// How long Windows waits before it starts a service again that failed: at first, and then.
const AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// `ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`: nobody started us as a service.
const NO_SERVICE: i32 = 1063;

/// What the service needs, which Windows calls by a name and not by a value.
struct Order {
    start: fn() -> anyhow::Result<Runtime>,
    file: PathBuf,
    /// How it ended.
    ended: Mutex<Option<anyhow::Result<()>>>,
}

static ORDER: OnceLock<Order> = OnceLock::new();

/// Runs with the configuration in `file`, in the runtime that `start` makes, until the service
/// manager or Ctrl-C asks to stop.
///
/// # Errors
/// As [`run::serve`], and when the service manager cannot be talked to.
pub fn run(start: fn() -> anyhow::Result<Runtime>, file: &Path) -> anyhow::Result<()> {
    let order =
        ORDER.get_or_init(|| Order { start, file: file.to_path_buf(), ended: Mutex::new(None) });
    match service_dispatcher::start(NAME, entry) {
        Ok(()) => order
            .ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_else(|| anyhow::bail!("the service never began")),
        Err(windows_service::Error::Winapi(error)) if error.raw_os_error() == Some(NO_SERVICE) => {
            in_console(start, file)
        }
        Err(error) => Err(error).context("talking to the service manager"),
    }
}

/// Asks Windows to start the service again whenever it ends in failure.
///
/// # Errors
/// When the service is not there or may not be changed.
pub fn recover() -> anyhow::Result<()> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
        .context("talking to the service manager")?;
    // The right to start it is asked for by whoever has it started.
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager.open_service(NAME, access).context("opening the service")?;
    let [first, then] =
        AGAIN.map(|delay| ServiceAction { action_type: ServiceActionType::Restart, delay });
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(24 * 3_600)),
        reboot_msg: None,
        command: None,
        actions: Some(vec![first, then.clone(), then]),
    };
    service.update_failure_actions(actions).context("setting what follows a failure")?;
    // A clean end that says it failed counts as a failure too.
    service.set_failure_actions_on_non_crash_failures(true).context("setting what is a failure")
}

fn in_console(start: fn() -> anyhow::Result<Runtime>, file: &Path) -> anyhow::Result<()> {
    start()?.block_on(async {
        let stop = async {
            if let Err(error) = tokio::signal::ctrl_c().await {
                tracing::warn!(%error, "Ctrl-C is not heard");
                std::future::pending::<()>().await;
            }
        };
        run::serve(file, Controls::default(), stop).await
    })
}

/// Where Windows begins the service, on a thread of its own. The calling convention is the one that
/// the macro of windows-service would write.
extern "system" fn entry(_count: u32, _arguments: *mut *mut u16) {
    let Some(order) = ORDER.get() else { return };
    let ended = serve(order);
    if let Err(error) = &ended {
        tracing::error!("{error:#}");
    }
    *order.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
}

fn serve(order: &Order) -> anyhow::Result<()> {
    let stop = Arc::new(Notify::new());
    let asked = Arc::clone(&stop);
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "what Windows learns to ask is not known yet"
    )]
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown => {
            asked.notify_one();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let manager = service_control_handler::register(NAME, handler)
        .context("registering with the service manager")?;
    tell(&manager, ServiceState::StartPending, 0)?;
    let ended = (order.start)().and_then(|runtime| {
        runtime.block_on(async {
            let shutdown = async {
                // Polled first once everything is open.
                if let Err(error) = tell(&manager, ServiceState::Running, 0) {
                    tracing::error!("{error:#}");
                }
                stop.notified().await;
                if let Err(error) = tell(&manager, ServiceState::StopPending, 0) {
                    tracing::error!("{error:#}");
                }
            };
            run::serve(&order.file, Controls::default(), shutdown).await
        })
    });
    tell(&manager, ServiceState::Stopped, u32::from(ended.is_err()))?;
    ended
}

/// Tells the service manager a state; `failed` is told when it ends.
fn tell(manager: &ServiceStatusHandle, state: ServiceState, failed: u32) -> anyhow::Result<()> {
    let pending = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
    let accepts = if state == ServiceState::Running {
        ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN
    } else {
        ServiceControlAccept::empty()
    };
    manager
        .set_service_status(ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepts,
            exit_code: match failed {
                0 => ServiceExitCode::Win32(0),
                failed => ServiceExitCode::ServiceSpecific(failed),
            },
            checkpoint: u32::from(pending),
            wait_hint: if pending { PENDING } else { Duration::ZERO },
            process_id: None,
        })
        .context("telling the service manager")
}
