import Glibc
import TunnelIO
import TunnelsAPIFake

/// The program: options, state, the server, the signal that ends it.
enum FakeCommand {
    /// - Returns: the exit status.
    static func run(_ arguments: [String]) -> Int32 {
        let options: FakeOptions
        do throws(FakeOptions.Failure) { options = try FakeOptions(arguments) } catch {
            Output.complain("tunnels-api-fake: \(error.reason)\n\n\(FakeOptions.usage)")
            return 2
        }
        if options.showsHelp {
            Output.write(FakeOptions.usage)
            return 0
        }
        do {
            try serve(options)
            return 0
        } catch {
            Output.complain("tunnels-api-fake: \(error)\n")
            return 1
        }
    }

    private static func serve(_ options: FakeOptions) throws {
        // Before any thread is there, so that all of them inherit the mask.
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)

        let file = options.statePath.map(StateFile.init)
        let api = try file?.load(options.configuration) ?? FakeTunnelsAPI(options.configuration)
        try file?.save(api)
        let listener = try Listener(options.address, isShared: false)
        let group = try LoopGroup(count: 1)
        defer { group.stop() }
        Output.write(Greeting(options, api, listener.address).text)
        let isQuiet = options.isQuiet
        group.loops[0].spawn { loop in
            let server = FakeServer(api, file, loop.reactor, isQuiet: isQuiet)
            loop.reactor.context = server
            do throws(IOError) { try server.accept(from: listener) } catch {
                Output.complain("tunnels-api-fake: \(error)\n")
                exit(1)
            }
        }
        var number: CInt = 0
        while sigwait(&signals, &number) != 0 {}
    }
}

/// The two streams, written to at once and whole.
enum Output {
    static func write(_ text: String) { write(text, to: 1) }
    static func complain(_ text: String) { write(text, to: 2) }

    private static func write(_ text: String, to descriptor: CInt) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            // Nobody reads it any more: that is no reason to end.
            guard count >= 0 || errno == EINTR else { return }
            rest = rest.dropFirst(max(0, count))
        }
    }
}
