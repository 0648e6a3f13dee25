import Synchronization
import TunnelCLI
import TunnelIO
import TunnelPKI
import TunnelSetup

/// The program: finds the command, runs it on a loop on the main thread, and prints what went wrong.
enum SetupProgram {
    private static let table = SetupCommands.table

    static func run(_ arguments: [String]) -> ExitStatus {
        ProcessHardening.apply()
        SecretMemory.lockAll()
        KeyMemory.prepare()
        let environment = SetupEnvironment.take()
        let console = Console()
        do {
            switch try table.parse(arguments) {
            case .help(let text): console.show(text)
            case .version: console.show(version)
            case .run(let command, let arguments): return try run(command, arguments, environment, console)
            }
            return .done
        } catch let error as UsageError {
            // The flags could not be read, and with them not whether JSON is wanted.
            let isJSON = arguments.contains("--json") || arguments.contains("-json")
            return refuse(error, nil, isJSON: isJSON, console)
        } catch {
            console.note("setup: \(error)")
            return .failed
        }
    }

    /// The version of the package, and that of each library.
    private static var version: String {
        let libraries = SetupVersions.libraries.map { "  \($0.name) \($0.version)" }.joined(separator: "\n")
        return "setup \(PackageVersion.current)\n\(libraries)"
    }

    private static func run(
        _ command: SetupCommand, _ arguments: Arguments, _ environment: SetupEnvironment, _ console: Console
    ) throws -> ExitStatus {
        try SetupSandbox.apply(command, arguments, environment)
        let loop = try Loop()
        let invocation = Invocation(arguments: arguments, environment: environment, console: console, loop: loop)
        let outcome = Outcome()
        loop.spawn { loop in
            let status = await run(command, invocation)
            outcome.status.withLock { $0 = status }
            loop.stop()
        }
        loop.run()
        if let cause = console.lost {
            console.note("setup \(command.name): the result could not be written to standard output: \(cause)")
            return .failed
        }
        return outcome.status.withLock { $0 }
    }

    private final class Outcome: Sendable {
        let status = Mutex(ExitStatus.failed)
    }

    /// Runs the command and reports a failure, on standard output too where JSON was asked for.
    private static func run(_ command: SetupCommand, _ invocation: Invocation) async -> ExitStatus {
        let (console, isJSON) = (invocation.console, invocation.arguments.has(.json))
        do {
            try SettingsReview.run(command, invocation)
            return try await command.action(invocation)
        } catch let error as UsageError {
            return refuse(error, command, isJSON: isJSON, console)
        } catch let error as SettingsError {
            let help = "setup \(command.name) --help lists the flags"
            console.note("setup \(command.name): \(error.reason) (\(help)):")
            for problem in error.problems { console.note(problem.text) }
            if isJSON { console.show(json: FailureReport(error, remedy: help)) }
            return error.status
        } catch {
            let failure = FailureReport(error)
            console.note("setup \(command.name): \(failure.text)")
            if isJSON { console.show(json: failure) }
            return .failed
        }
    }

    private static func refuse(
        _ error: UsageError, _ command: SetupCommand?, isJSON: Bool, _ console: Console
    ) -> ExitStatus {
        console.note(table.message(error, in: command))
        if isJSON { console.show(json: FailureReport(error, remedy: table.remedy(error, in: command))) }
        return .usage
    }
}
