internal import TunnelCore
internal import TunnelIO

/// The admin listener of a running proxy, with the thread that serves it.
final class AdminListener: Sendable {
    let address: SocketAddress
    private let loop: Loop
    private let thread: SystemThread

    /// It stands behind the loops that serve the tunnel.
    private static let niceness = 5

    /// Starts to serve.
    ///
    /// - Throws: ``IOError`` when no thread can be had.
    init(_ listener: Listener, _ context: AdminSite.Context) throws(IOError) {
        address = listener.address
        let loop = try Loop()
        self.loop = loop
        thread = try SystemThread("admin", niceness: Self.niceness) { loop.run() }
        let log = context.shared.log
        loop.spawn { loop in
            let site = AdminSite(context, on: loop.reactor)
            loop.reactor.context = site
            do throws(IOError) { try site.open(listener) } catch {
                log(.error, "accept failed") { $0.field("error", error.description) }
            }
        }
        log(.info, "admin listening") { $0.field("addr", "\(listener.address)") }
    }

    /// Ends it and its thread. Blocks, for moments.
    func stop() {
        onSite { $0.close() }
        // Connections end in tasks of their own.
        let deadline = Reactor.clock() &+ 200_000_000
        var isIdle = false
        while !isIdle && Reactor.clock() < deadline {
            let idle = Flag()
            onSite { if $0.isIdle { idle.set() } }
            isIdle = idle.isSet
        }
        onSite { $0.finish() }
        loop.stop()
        thread.join()
    }

    /// Leaves those who come from now on to another process.
    func stopAccepting() { onSite { $0.stopAccepting() } }

    private func onSite(_ body: @escaping @Sendable (AdminSite) -> Void) {
        let done = ThreadSignal()
        loop.spawn { loop in
            if let site = AdminSite.current(on: loop) { body(site) }
            done.post()
        }
        _ = done.wait(seconds: 1)
    }
}
