//! What records and locks say of the machine and of the command. Never part of a result.

/// The processor's name, `unknown` where the system does not tell.
#[cfg(target_os = "linux")]
pub fn cpu() -> String {
    use procfs::Current;
    let info = procfs::CpuInfo::current().ok();
    let name = info.as_ref().and_then(|info| info.model_name(0));
    name.unwrap_or("unknown").to_owned()
}

/// The processor's name, `unknown` where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn cpu() -> String {
    "unknown".to_owned()
}

/// The machine's name in its network.
pub fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Whether there is a process of this number; true where the system does not tell.
pub fn is_process(pid: u32) -> bool {
    let processes = std::path::Path::new("/proc");
    !processes.join("self").exists() || processes.join(pid.to_string()).exists()
}

/// Most memory this process has held so far, in bytes.
#[cfg(target_os = "linux")]
pub fn peak_rss_bytes() -> Option<u64> {
    let status = procfs::process::Process::myself().ok()?.status().ok()?;
    status.vmhwm.map(|kibibytes| kibibytes * 1024)
}

/// Most memory this process has held so far, in bytes.
#[cfg(not(target_os = "linux"))]
pub fn peak_rss_bytes() -> Option<u64> {
    None
}

/// Lets [`peak_rss_bytes`] count from what is held now, so that one fold's peak is not the next one's. Where the system
/// cannot, the peak is that of the process so far.
pub fn reset_peak_rss() {
    // 5 is the kernel's code for the peak (proc_pid_clear_refs(5)). Nothing rests on it.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The command as it was typed, the name of the program first.
pub fn command_line() -> Vec<String> {
    std::env::args_os()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn peak_memory_sees_what_was_held() {
        let held = vec![1_u8; 64 << 20];
        assert!(held.iter().all(|&byte| byte == 1));
        assert!(peak_rss_bytes().expect("procfs") >= 64 << 20);
    }
}
