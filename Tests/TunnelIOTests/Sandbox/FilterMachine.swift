@testable import TunnelIO

/// The kernel's side of a filter, as far as ours go: classic BPF over `struct seccomp_data`.
struct FilterMachine {
    struct Call {
        var number: UInt32
        var architecture: UInt32
        var arguments: [UInt64] = []
    }

    let program: [FilterProgram.Instruction]
    private(set) var steps = 0

    init(_ program: [FilterProgram.Instruction]) { self.program = program }

    /// What becomes of a call; `nil` for a program that the kernel would not have taken.
    mutating func run(_ call: Call) -> UInt32? {
        var (register, place) = (UInt32(0), 0)
        steps = 0
        while place < program.count {
            let instruction = program[place]
            place += 1
            steps += 1
            func jump(_ holds: Bool) { place += Int(holds ? instruction.ifTrue : instruction.ifFalse) }
            switch instruction.code {
            case 0x20:
                guard let word = word(of: call, at: instruction.value) else { return nil }
                register = word
            case 0x54: register &= instruction.value
            case 0x15: jump(register == instruction.value)
            case 0x35: jump(register >= instruction.value)
            case 0x45: jump(register & instruction.value != 0)
            case 0x06: return instruction.value
            default: return nil
            }
        }
        return nil
    }

    /// `int nr; __u32 arch; __u64 instruction_pointer; __u64 args[6];`
    private func word(of call: Call, at offset: UInt32) -> UInt32? {
        switch offset {
        case 0: return call.number
        case 4: return call.architecture
        case 16..<64 where offset % 4 == 0:
            let index = Int(offset - 16) / 8
            let argument = index < call.arguments.count ? call.arguments[index] : 0
            return UInt32(truncatingIfNeeded: offset % 8 == 0 ? argument : argument >> 32)
        default: return nil
        }
    }
}
