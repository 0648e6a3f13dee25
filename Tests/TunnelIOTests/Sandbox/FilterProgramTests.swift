import Testing

@testable import TunnelIO

@Suite struct FilterProgramTests {
    private typealias Call = FilterMachine.Call

    private func verdict(_ program: FilterProgram, _ call: Call) throws -> UInt32? {
        var machine = FilterMachine(try program.assembled())
        return machine.run(call)
    }

    @Test func `jumps count the instructions that they leave out`() throws {
        var program = FilterProgram()
        program.load(.number)
        program.jump(ifEqual: 7, to: "end")
        program.end(.allow)
        program.mark("end")
        program.end(.fail(1))
        #expect(
            try program.assembled() == [
                .init(code: 0x20, ifTrue: 0, ifFalse: 0, value: 0), .init(code: 0x15, ifTrue: 1, ifFalse: 0, value: 7),
                .init(code: 0x06, ifTrue: 0, ifFalse: 0, value: 0x7FFF_0000),
                .init(code: 0x06, ifTrue: 0, ifFalse: 0, value: 0x0005_0001),
            ])
    }

    @Test func `a jump leaves out 255 instructions and not one more`() throws {
        func program(_ count: Int) -> FilterProgram {
            var program = FilterProgram()
            program.jump(ifEqual: 0, to: "far")
            for _ in 0..<count { program.load(.number) }
            program.mark("far")
            program.end(.kill)
            return program
        }
        #expect(try program(255).assembled()[0].ifTrue == 255)
        #expect(throws: FilterProgram.Failure(label: "far")) { try program(256).assembled() }
    }

    @Test(arguments: ["nowhere", "behind the last", "back"])
    func `a jump that leads nowhere is no program`(_ kind: String) {
        var program = FilterProgram()
        if kind == "back" { program.mark("back") }
        program.load(.number)
        program.jump(ifEqual: 1, to: kind)
        program.end(.allow)
        if kind == "behind the last" { program.mark(kind) }
        #expect(throws: FilterProgram.Failure(label: kind)) { try program.assembled() }
    }

    @Test func `it sees number, architecture and each argument's lower half`() throws {
        for (word, number) in [
            (FilterProgram.Word.number, UInt32(11)), (.architecture, 22), (.argument(0), 33), (.argument(5), 88),
        ] {
            var program = FilterProgram()
            program.load(word)
            program.jump(ifEqual: number, to: "found")
            program.end(.kill)
            program.mark("found")
            program.end(.allow)
            let call = Call(number: 11, architecture: 22, arguments: [0x1_0000_0021, 44, 55, 66, 77, 88])
            #expect(try verdict(program, call) == FilterProgram.Verdict.allow.value)
        }
    }

    @Test func `conditions hold where they should`() throws {
        func holds(_ value: UInt32, _ add: (inout FilterProgram) -> Void) throws -> Bool {
            var program = FilterProgram()
            program.load(.number)
            add(&program)
            program.end(.kill)
            program.mark("yes")
            program.end(.allow)
            return try verdict(program, Call(number: value, architecture: 0)) == 0x7FFF_0000
        }
        #expect(try holds(5) { $0.jump(ifNotLess: 5, to: "yes") })
        #expect(try !holds(4) { $0.jump(ifNotLess: 5, to: "yes") })
        #expect(try holds(0xFFFF_FFFF) { $0.jump(ifNotLess: 5, to: "yes") })
        #expect(try holds(6) { $0.jump(ifAnyOf: 2, to: "yes") })
        #expect(try !holds(5) { $0.jump(ifAnyOf: 2, to: "yes") })
        #expect(
            try holds(0x81) {
                $0.mask(0xF)
                $0.jump(ifEqual: 1, to: "yes")
            })
    }
}
