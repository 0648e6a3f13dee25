internal import CLinux

/// A program of classic BPF in the making, for seccomp(2): it looks at a system call and returns what is to become of it.
///
/// There is one register. Jumps go forward, to a label, and fall through where their condition does not hold.
package struct FilterProgram {
    /// What a program can load of a call: the layout of `struct seccomp_data`, on a little-endian machine.
    package enum Word: Sendable {
        case number
        case architecture
        /// The lower half of an argument, from 0: all of it where the kernel takes an `int`.
        case argument(Int)

        fileprivate var offset: UInt32 {
            switch self {
            case .number: 0
            case .architecture: 4
            case .argument(let index): 16 + 8 * UInt32(index)
            }
        }
    }

    package enum Verdict: Sendable, Equatable {
        case allow
        /// The call fails with this `errno`.
        case fail(CInt)
        /// The process ends by SIGSYS.
        case kill

        package var value: UInt32 {
            switch self {
            case .allow: 0x7FFF_0000
            case .fail(let number): 0x0005_0000 | (UInt32(bitPattern: number) & 0xFFFF)
            case .kill: 0x8000_0000
            }
        }
    }

    package struct Instruction: Sendable, Equatable {
        package let code: UInt16
        /// How many instructions to leave out where a condition holds, and where not.
        package let ifTrue: UInt8, ifFalse: UInt8
        package let value: UInt32
    }

    /// The program cannot be had: a jump is longer than a byte can say, or leads nowhere.
    package struct Failure: Error, Equatable {
        package let label: String
    }

    /// `BPF_LD | BPF_W | BPF_ABS` and so on, of linux/bpf_common.h.
    package enum Code {
        package static let load: UInt16 = 0x20
        package static let and: UInt16 = 0x54
        package static let jumpIfEqual: UInt16 = 0x15
        package static let jumpIfNotLess: UInt16 = 0x35
        package static let jumpIfAnyBit: UInt16 = 0x45
        package static let end: UInt16 = 0x06
    }

    private enum Step {
        case plain(UInt16, UInt32)
        case jump(UInt16, UInt32, to: String)
    }

    private var steps: [Step] = []
    private var labels: [String: Int] = [:]

    package init() {}

    package mutating func load(_ word: Word) { steps.append(.plain(Code.load, word.offset)) }

    /// Keeps those bits of the register that `mask` has.
    package mutating func mask(_ mask: UInt32) { steps.append(.plain(Code.and, mask)) }

    package mutating func jump(ifEqual value: UInt32, to label: String) {
        steps.append(.jump(Code.jumpIfEqual, value, to: label))
    }

    /// By unsigned comparison.
    package mutating func jump(ifNotLess value: UInt32, to label: String) {
        steps.append(.jump(Code.jumpIfNotLess, value, to: label))
    }

    /// Where the register and `bits` have one in common.
    package mutating func jump(ifAnyOf bits: UInt32, to label: String) {
        steps.append(.jump(Code.jumpIfAnyBit, bits, to: label))
    }

    package mutating func end(_ verdict: Verdict) { steps.append(.plain(Code.end, verdict.value)) }

    /// The next instruction is what jumps to that label go to.
    package mutating func mark(_ label: String) { labels[label] = steps.count }

    package func assembled() throws(Failure) -> [Instruction] {
        var program: [Instruction] = []
        for (index, step) in steps.enumerated() {
            switch step {
            case .plain(let code, let value):
                program.append(Instruction(code: code, ifTrue: 0, ifFalse: 0, value: value))
            case .jump(let code, let value, let label):
                // A jump counts from the instruction behind it.
                guard let place = labels[label], place > index, place < steps.count,
                    let distance = UInt8(exactly: place - index - 1)
                else { throw Failure(label: label) }
                program.append(Instruction(code: code, ifTrue: distance, ifFalse: 0, value: value))
            }
        }
        return program
    }
}

extension FilterProgram {
    /// Puts a program in force for the whole process, without a way back.
    static func install(_ program: [Instruction]) throws(IOError) {
        let instructions = program.map {
            CLinux_instruction(code: $0.code, if_true: $0.ifTrue, if_false: $0.ifFalse, value: $0.value)
        }
        // A positive result is a thread that has a filter of its own, and then it is in force nowhere.
        let result = instructions.withUnsafeBufferPointer { list in
            CLinux_seccomp_filter(list.baseAddress, UInt16(clamping: list.count))
        }
        guard result == 0 else {
            throw result > 0 ? IOError(.system(1), "seccomp", detail: "thread \(result)") : .fromErrno("seccomp")
        }
    }

    /// Whether the kernel has filters that let a call fail.
    package static var isSupported: Bool { CLinux_seccomp_knows(0x0005_0000) == 0 }
}
