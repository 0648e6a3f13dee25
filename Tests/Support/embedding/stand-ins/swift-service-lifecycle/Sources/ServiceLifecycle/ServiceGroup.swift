import Dispatch
import Glibc
import Logging
import UnixSignals

public actor ServiceGroup {
    private let services: [any Service]
    private let signals: [UnixSignal]

    public init(
        services: [any Service], gracefulShutdownSignals: [UnixSignal] = [], cancellationSignals: [UnixSignal] = [],
        logger: Logger
    ) {
        (self.services, signals) = (services, gracefulShutdownSignals)
    }

    public func run(file: String = #file, line: Int = #line) async throws {
        let shutdown = GracefulShutdown()
        for number in signals.map(\.rawValue) {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { withExtendedLifetime(source) { shutdown.begin() } }
            // What comes before the source is registered is ignored, so no service begins before that.
            await withCheckedContinuation { registered in
                source.setRegistrationHandler { registered.resume() }
                source.activate()
            }
        }
        try await withThrowingTaskGroup(of: Void.self) { [services] group in
            for service in services { group.addTask { try await shutdown.run(service) } }
            try await group.waitForAll()
        }
    }
}

public func cancelWhenGracefulShutdown<T: Sendable>(
    _ operation: @Sendable @escaping () async throws -> T
) async throws -> T {
    let task = Task { try await operation() }
    return try await withGracefulShutdownHandler {
        try await task.value
    } onGracefulShutdown: {
        task.cancel()
    }
}
