import Glibc
import Testing

@testable import TunnelIO

/// The filter of each kind of processor, run by a machine of our own; sandbox-escape runs it in a kernel.
@Suite struct CallFilterTests {
    private static let allow = FilterProgram.Verdict.allow.value
    private static let deny = FilterProgram.Verdict.fail(EPERM).value
    private static let kill = FilterProgram.Verdict.kill.value

    private func verdict(_ machine: CallMachine, _ number: UInt32, _ arguments: UInt64...) throws -> UInt32? {
        var filter = FilterMachine(try CallFilter.program(for: machine))
        return filter.run(.init(number: number, architecture: machine.architecture, arguments: arguments))
    }

    @Test(arguments: CallMachine.allCases)
    func `every call of the list fails, whatever its arguments are`(_ machine: CallMachine) throws {
        for call in DeniedCall.all {
            guard let number = call.number(on: machine) else { continue }
            #expect(try verdict(machine, number) == Self.deny, "\(call.name)")
            #expect(try verdict(machine, number, .max, .max, .max, .max) == Self.deny, "\(call.name)")
        }
    }

    @Test(arguments: CallMachine.allCases)
    func `no two calls of the list have one number`(_ machine: CallMachine) {
        let numbers = DeniedCall.all.compactMap { $0.number(on: machine) }
        #expect(Set(numbers).count == numbers.count)
    }

    @Test func `what every request makes is allowed`() throws {
        // read, write, close, mmap, futex, epoll_wait, accept4, connect, recvfrom, openat, exit_group.
        for number: UInt32 in [0, 1, 3, 9, 202, 232, 288, 42, 45, 257, 231] {
            #expect(try verdict(.x86, number) == Self.allow)
        }
        for number: UInt32 in [63, 64, 57, 222, 98, 22, 242, 203, 207, 56, 94] {
            #expect(try verdict(.arm, number) == Self.allow)
        }
        #expect(try verdict(.x86, 44, 3, 0, 10, 0x4000) == Self.allow)
    }

    /// It is the one call of a request that is looked at.
    @Test func `of send it is known at once`() throws {
        var filter = FilterMachine(try CallFilter.program(for: .x86))
        _ = filter.run(.init(number: 44, architecture: CallMachine.x86.architecture))
        #expect(filter.steps <= 8)
    }

    @Test func `other ABIs end the process`() throws {
        for machine in CallMachine.allCases {
            var filter = FilterMachine(try CallFilter.program(for: machine))
            // 32-bit x86, 32-bit ARM, RISC-V.
            for architecture: UInt32 in [0x4000_0003, 0x4000_0028, 0xC000_00F3] {
                #expect(filter.run(.init(number: 20, architecture: architecture)) == Self.kill)
            }
        }
        #expect(try verdict(.x86, 0x3FFF_FFFF) == Self.allow)
        #expect(try verdict(.x86, 0x4000_0000) == Self.kill)
        #expect(try verdict(.x86, 0x4000_0027) == Self.kill)
    }

    @Test func `nothing connects by sending`() throws {
        let fastOpen: UInt64 = 0x2000_0000
        for (machine, sendto, sendmsg, sendmmsg) in [(CallMachine.x86, 44, 46, 307), (.arm, 206, 211, 269)] {
            #expect(try verdict(machine, UInt32(sendto), 3, 0, 1, fastOpen | 0x4000) == Self.deny)
            #expect(try verdict(machine, UInt32(sendmsg), 3, 0, fastOpen) == Self.deny)
            #expect(try verdict(machine, UInt32(sendmmsg), 3, 0, 1, fastOpen) == Self.deny)
            #expect(try verdict(machine, UInt32(sendmsg), 3, 0, 0x4000, fastOpen) == Self.allow)
        }
    }

    @Test func `sockets are TCP, UDP, Unix and netlink`() throws {
        let (cloexec, tcp, udp) = (UInt64(0x8_0000), UInt64(6), UInt64(17))
        let noFamily = FilterProgram.Verdict.fail(EAFNOSUPPORT).value
        let noProtocol = FilterProgram.Verdict.fail(EPROTONOSUPPORT).value
        for (machine, socket): (CallMachine, UInt32) in [(.x86, 41), (.arm, 198)] {
            for family: UInt64 in [2, 10] {
                #expect(try verdict(machine, socket, family, 1 | cloexec, 0) == Self.allow)
                #expect(try verdict(machine, socket, family, 1, tcp) == Self.allow)
                #expect(try verdict(machine, socket, family, 2 | cloexec, udp) == Self.allow)
                // MPTCP, SCTP, ICMP; raw, and SCTP by its kind.
                for number: UInt64 in [262, 132, 1] {
                    #expect(try verdict(machine, socket, family, 1, number) == noProtocol)
                }
                for kind: UInt64 in [3, 5, 6] { #expect(try verdict(machine, socket, family, kind, 0) == noProtocol) }
            }
            #expect(try verdict(machine, socket, 1, 5, 0) == Self.allow)
            #expect(try verdict(machine, socket, 16, 3, 0) == Self.allow)
            // Packets, the kernel's cryptography, virtual machines, SMC.
            for family: UInt64 in [17, 38, 40, 43] { #expect(try verdict(machine, socket, family, 1, 0) == noFamily) }
        }
    }

    @Test func `threads are made, processes and namespaces are not`() throws {
        // What the C library makes a thread with.
        let thread: UInt64 = 0x003D_0F00
        for (machine, clone): (CallMachine, UInt32) in [(.x86, 56), (.arm, 220)] {
            #expect(try verdict(machine, clone, thread) == Self.allow)
            #expect(try verdict(machine, clone, 17) == Self.deny)
            #expect(try verdict(machine, clone, 0x4111) == Self.deny)
            for bit: UInt64 in [17, 25, 26, 27, 28, 29, 30] {
                #expect(try verdict(machine, clone, thread | 1 << bit) == Self.deny)
            }
            #expect(try verdict(machine, 435) == FilterProgram.Verdict.fail(ENOSYS).value)
        }
    }

    @Test func `a terminal is not typed into and memory stays hidden`() throws {
        for (machine, ioctl, prctl) in [(CallMachine.x86, 16, 157), (.arm, 29, 167)] {
            for request: UInt64 in [0x5412, 0x541C] {
                #expect(try verdict(machine, UInt32(ioctl), 0, request) == Self.deny)
                // The kernel looks at the lower half.
                #expect(try verdict(machine, UInt32(ioctl), 0, request | 1 << 32) == Self.deny)
            }
            #expect(try verdict(machine, UInt32(ioctl), 0, 0x5401) == Self.allow)
            #expect(try verdict(machine, UInt32(prctl), 4, 1) == Self.deny)
            #expect(try verdict(machine, UInt32(prctl), 4, 0) == Self.allow)
            #expect(try verdict(machine, UInt32(prctl), 15, 1) == Self.allow)
        }
    }
}
