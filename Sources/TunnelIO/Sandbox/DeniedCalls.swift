/// System calls that neither proxy nor setup ever makes, and with which code that was smuggled in would leave the sandbox,
/// look into other processes or work on the kernel.
///
/// It names what is denied and not what is allowed: the C library, OpenSSL and the Swift runtime change the calls they make
/// from version to version, and a list of what they make today would end the process tomorrow.
package struct DeniedCall: Sendable {
    package let name: String
    /// The number on x86-64; `nil` where there is no such call.
    package let x86: UInt32?
    package let arm: UInt32?

    private init(_ name: String, _ x86: UInt32?, _ arm: UInt32?) { (self.name, self.x86, self.arm) = (name, x86, arm) }

    /// Since Linux 5.1 a new call has one number everywhere.
    private init(_ name: String, _ number: UInt32) { self.init(name, number, number) }

    package func number(on machine: CallMachine) -> UInt32? {
        switch machine {
        case .x86: x86
        case .arm: arm
        }
    }

    /// Each fails with EPERM, as where the right to it is missing.
    package static let all: [DeniedCall] = [
        // Other programs and processes.
        DeniedCall("execve", 59, 221), DeniedCall("execveat", 322, 281), DeniedCall("fork", 57, nil),
        DeniedCall("vfork", 58, nil), DeniedCall("uselib", 134, nil),

        // Looking into other processes.
        DeniedCall("ptrace", 101, 117), DeniedCall("process_vm_readv", 310, 270),
        DeniedCall("process_vm_writev", 311, 271), DeniedCall("process_madvise", 440), DeniedCall("kcmp", 312, 272),
        DeniedCall("pidfd_getfd", 438), DeniedCall("migrate_pages", 256, 238), DeniedCall("move_pages", 279, 239),

        // Another view of the system.
        DeniedCall("unshare", 272, 97), DeniedCall("setns", 308, 268), DeniedCall("chroot", 161, 51),
        DeniedCall("pivot_root", 155, 41), DeniedCall("mount", 165, 40), DeniedCall("umount2", 166, 39),
        DeniedCall("open_tree", 428), DeniedCall("open_tree_attr", 467), DeniedCall("move_mount", 429),
        DeniedCall("fsopen", 430), DeniedCall("fsconfig", 431), DeniedCall("fsmount", 432), DeniedCall("fspick", 433),
        DeniedCall("mount_setattr", 442), DeniedCall("swapon", 167, 224), DeniedCall("swapoff", 168, 225),
        DeniedCall("mknod", 133, nil), DeniedCall("mknodat", 259, 33), DeniedCall("name_to_handle_at", 303, 264),
        DeniedCall("open_by_handle_at", 304, 265), DeniedCall("personality", 135, 92),

        // Ways around system calls, and large surfaces of the kernel.
        DeniedCall("io_uring_setup", 425), DeniedCall("io_uring_enter", 426), DeniedCall("io_uring_register", 427),
        DeniedCall("bpf", 321, 280), DeniedCall("perf_event_open", 298, 241), DeniedCall("userfaultfd", 323, 282),
        DeniedCall("add_key", 248, 217), DeniedCall("request_key", 249, 218), DeniedCall("keyctl", 250, 219),
        DeniedCall("fanotify_init", 300, 262), DeniedCall("fanotify_mark", 301, 263),
        DeniedCall("lookup_dcookie", 212, 18), DeniedCall("modify_ldt", 154, nil), DeniedCall("iopl", 172, nil),
        DeniedCall("ioperm", 173, nil),

        // The machine.
        DeniedCall("init_module", 175, 105), DeniedCall("finit_module", 313, 273),
        DeniedCall("delete_module", 176, 106), DeniedCall("kexec_load", 246, 104),
        DeniedCall("kexec_file_load", 320, 294), DeniedCall("reboot", 169, 142), DeniedCall("acct", 163, 89),
        DeniedCall("quotactl", 179, 60), DeniedCall("quotactl_fd", 443), DeniedCall("nfsservctl", 180, 42),
        DeniedCall("settimeofday", 164, 170), DeniedCall("clock_settime", 227, 112), DeniedCall("adjtimex", 159, 171),
        DeniedCall("clock_adjtime", 305, 266), DeniedCall("sethostname", 170, 161),
        DeniedCall("setdomainname", 171, 162), DeniedCall("syslog", 103, 116), DeniedCall("vhangup", 153, 58),
        DeniedCall("ustat", 136, nil), DeniedCall("sysfs", 139, nil), DeniedCall("_sysctl", 156, nil),
    ]
}

/// A kind of processor, by the numbers that its system calls have.
package enum CallMachine: Sendable, CaseIterable {
    case x86, arm

    /// What this program was built for; `nil` for one that we have no numbers for.
    package static var current: CallMachine? {
        #if arch(x86_64)
            .x86
        #elseif arch(arm64)
            .arm
        #else
            nil
        #endif
    }

    /// `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64`.
    package var architecture: UInt32 {
        switch self {
        case .x86: 0xC000_003E
        case .arm: 0xC000_00B7
        }
    }
}
