internal import Glibc

/// The filter of system calls: what the kernel asks before each of them.
///
/// For a call that is allowed whatever its arguments are, the kernel remembers the verdict when the filter is put in force
/// and runs nothing. Of the calls that a request makes only sendto(2) is looked at, so it comes first.
package enum CallFilter {
    /// Numbers of calls whose arguments decide.
    struct Numbers {
        let sendto: UInt32, sendmsg: UInt32, sendmmsg: UInt32, socket: UInt32, ioctl: UInt32, prctl: UInt32
        let clone: UInt32, clone3: UInt32

        init(_ machine: CallMachine) {
            switch machine {
            case .x86:
                (sendto, sendmsg, sendmmsg, socket, ioctl, prctl) = (44, 46, 307, 41, 16, 157)
                (clone, clone3) = (56, 435)
            case .arm:
                (sendto, sendmsg, sendmmsg, socket, ioctl, prctl) = (206, 211, 269, 198, 29, 167)
                (clone, clone3) = (220, 435)
            }
        }
    }

    /// On x86-64 the second ABI of 64-bit processors, with 32-bit pointers, has its calls from here on.
    private static let x32Numbers: UInt32 = 0x4000_0000
    /// It connects without connect(2), which is what Landlock looks at.
    private static let fastOpen: UInt32 = 0x2000_0000
    private static let streamOrDatagram: [UInt32] = [1, 2]
    private static let typeMask: UInt32 = 0xF
    private static let threadFlag: UInt32 = 0x0001_0000
    /// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID`, `NEWNET`.
    private static let namespaceFlags: UInt32 = 0x7E02_0000
    /// They put characters into a terminal as if they had been typed there.
    private static let typing: [UInt32] = [0x5412, 0x541C]
    private static let setDumpable: UInt32 = 4

    /// The program for one kind of processor.
    package static func program(for machine: CallMachine) throws(FilterProgram.Failure) -> [FilterProgram.Instruction] {
        let numbers = Numbers(machine)
        var filter = FilterProgram()
        filter.load(.architecture)
        // A call by another ABI of the machine has other numbers, so none of the questions below would mean anything.
        filter.jump(ifEqual: machine.architecture, to: "native")
        filter.end(.kill)
        filter.mark("native")
        filter.load(.number)
        if machine == .x86 { filter.jump(ifNotLess: x32Numbers, to: "kill") }
        filter.jump(ifEqual: numbers.sendto, to: "flags of sendto")
        filter.jump(ifEqual: numbers.sendmmsg, to: "flags of sendto")
        filter.jump(ifEqual: numbers.sendmsg, to: "flags of sendmsg")
        filter.jump(ifEqual: numbers.socket, to: "socket")
        filter.jump(ifEqual: numbers.ioctl, to: "ioctl")
        filter.jump(ifEqual: numbers.prctl, to: "prctl")
        filter.jump(ifEqual: numbers.clone, to: "clone")
        filter.jump(ifEqual: numbers.clone3, to: "missing")
        for call in DeniedCall.all {
            if let number = call.number(on: machine) { filter.jump(ifEqual: number, to: "deny") }
        }
        filter.end(.allow)
        addQuestions(to: &filter)
        return try filter.assembled()
    }

    private static func addQuestions(to filter: inout FilterProgram) {
        filter.mark("flags of sendto")
        filter.load(.argument(3))
        filter.jump(ifAnyOf: fastOpen, to: "deny")
        filter.end(.allow)
        filter.mark("flags of sendmsg")
        filter.load(.argument(2))
        filter.jump(ifAnyOf: fastOpen, to: "deny")
        filter.end(.allow)

        // Ports are Landlock's only for TCP itself: MPTCP, SCTP and SMC would dial and listen past it. Raw sockets and
        // families that nobody here speaks go with them.
        filter.mark("socket")
        filter.load(.argument(0))
        for family in [AF_UNIX, AF_NETLINK] { filter.jump(ifEqual: UInt32(family), to: "allow") }
        for family in [AF_INET, AF_INET6] { filter.jump(ifEqual: UInt32(family), to: "type") }
        filter.end(.fail(EAFNOSUPPORT))
        filter.mark("type")
        filter.load(.argument(1))
        filter.mask(typeMask)
        for type in streamOrDatagram { filter.jump(ifEqual: type, to: "protocol") }
        filter.end(.fail(EPROTONOSUPPORT))
        filter.mark("protocol")
        filter.load(.argument(2))
        for number in [0, IPPROTO_TCP, IPPROTO_UDP] { filter.jump(ifEqual: UInt32(number), to: "allow") }
        filter.end(.fail(EPROTONOSUPPORT))

        filter.mark("ioctl")
        filter.load(.argument(1))
        for request in typing { filter.jump(ifEqual: request, to: "deny") }
        filter.end(.allow)

        // Once forbidden, core files and readers of our memory stay so.
        filter.mark("prctl")
        filter.load(.argument(0))
        filter.jump(ifEqual: setDumpable, to: "dumpable")
        filter.end(.allow)
        filter.mark("dumpable")
        filter.load(.argument(1))
        filter.jump(ifEqual: 0, to: "allow")
        filter.end(.fail(EPERM))

        // Threads, and no processes: neither in this namespace nor in a new one.
        filter.mark("clone")
        filter.load(.argument(0))
        filter.jump(ifAnyOf: namespaceFlags, to: "deny")
        filter.jump(ifAnyOf: threadFlag, to: "allow")
        filter.end(.fail(EPERM))
        // Its flags lie in memory, where a filter cannot look. The C library makes do with the other one.
        filter.mark("missing")
        filter.end(.fail(ENOSYS))

        filter.mark("deny")
        filter.end(.fail(EPERM))
        filter.mark("allow")
        filter.end(.allow)
        filter.mark("kill")
        filter.end(.kill)
    }
}
