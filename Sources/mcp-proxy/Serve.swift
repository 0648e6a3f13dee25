import Glibc
import TunnelCLI
import TunnelCore
import TunnelIO
import TunnelProxy

/// What `mcp-proxy` does without a command: runs the proxy until a signal ends it.
enum Serve {
    static func run(_ arguments: Arguments) -> ExitStatus {
        Signals.take()
        let environment = ManagerEnvironment.take()
        let manager = ServiceManager(environment)
        ProcessHardening.raiseDescriptorLimit()
        let server: ProxyServer
        let log: ProxyLog
        let reloader: ConfigurationReloader
        do {
            let passed = try PassedSockets.adopt(environment)
            let file = ConfigurationFile(
                path: arguments[.config] ?? ProxyConfiguration.defaultPath, tunnelDomain: arguments[.tunnelDomain])
            let contents = try file.read()
            let configuration = try file.parse(contents)
            // Before the first thread, which the log's is.
            let sandbox = try Confinement.apply(configuration, file: file.path, environment)
            log = try ProxyLog.standardError(configuration)
            manager.report(to: log.log)
            Confinement.tell(sandbox, to: log.log)
            server = try ProxyServer(configuration: configuration, log: log.log, passed: passed, sandbox: sandbox)
            reloader = ConfigurationReloader(file, contents: contents, of: server, log: log.log, observer: manager)
            // Whose end is taken for the end of the service, or is that of the container.
            let isManaged =
                manager.isThere || getpid() == 1 || !passed.proxy.isEmpty && passed.source == .serviceManager
            // Before it says that it listens, so that whoever waits for that can ask for a reload.
            ReloadServer.start(
                reloader, path: file.path, log: log.log,
                successor: isManaged ? nil : HandOver(server: server, arguments, path: file.path))
            try server.start()
            manager.ready(server)
            switch environment.takePlace() {
            case .shared: break
            case .own: server.takeSocketFiles()
            case .unwanted: server.leaveToSuccessor()
            }
            try ServiceWatch.start(server, for: manager)
            reloader.watchIfWanted()
        } catch {
            ProxyProgram.complain("mcp-proxy: \(error)")
            return .failed
        }
        // By a signal, or because another process has its place.
        while server.state == .running, Signals.next() == .reload, server.state == .running {
            _ = reloader.reload(by: .signal)
        }
        manager.stopping(server)
        Signals.onStop { server.stopNow() }
        let isClean = server.stopAndWait()
        log.finish()
        return isClean ? .done : .failed
    }
}

/// The signals that mean something to the process: SIGTERM and SIGINT stop it, SIGHUP reloads its configuration.
///
/// They are blocked in every thread and taken with sigwait(3) by one, so that there is no handler that could interrupt a
/// system call of the others, and so that it does not matter which thread the kernel would have chosen. One that comes
/// while another is being handled waits for its turn: a SIGHUP during a reload leads to another reload.
enum Signals {
    enum Event {
        case stop
        case reload
    }

    /// Keeps the three signals for ``next()`` and ignores what would end the process without being meant to: somebody
    /// else's convention for SIGUSR1, say, is no reason to drop every stream. To be called before any thread is started:
    /// threads inherit the mask.
    static func take() {
        let realTime = Array(__libc_current_sigrtmin()...__libc_current_sigrtmax())
        // SIGPIPE among them: a peer that has gone is an error of write(2) to us.
        for number in [SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR] + realTime {
            signal(number, SIG_IGN)
        }
        // With -debuggable, whoever asks for a core file gets one, whatever the Swift runtime has installed for its reports.
        signal(SIGQUIT, SIG_DFL)
        var set = makeSet()
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the next of the three.
    static func next() -> Event {
        var set = makeSet()
        var number: CInt = 0
        while sigwait(&set, &number) != 0 {}
        return number == SIGHUP ? .reload : .stop
    }

    /// Runs each of `actions` when one more SIGTERM or SIGINT has come, on a thread of its own that takes the signals
    /// from now on. SIGHUP has no effect then.
    static func onStop(_ actions: (@Sendable () -> Void)...) {
        // Without a thread the caller's next step is taken all the same; only the signals after it are not.
        let thread = try? SystemThread("signals") {
            for action in actions {
                while next() == .reload {}
                action()
            }
        }
        thread?.detach()
    }

    private static func makeSet() -> sigset_t {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&set, number) }
        return set
    }
}
