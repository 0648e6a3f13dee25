import Synchronization
import TunnelCore
import TunnelIO
import TunnelSetup

/// The program: finds the command, runs it on a loop on the main thread, and prints what went wrong.
enum SetupProgram {
    static func run(_ arguments: [String]) -> ExitStatus {
        ProcessHardening.apply()
        let environment = SetupEnvironment.take()
        let console = Console()
        switch arguments.first {
        case "help", "--help", "-help", "-h":
            console.show(CommandTable.usage.trimmed)
            return .done
        case "version", "--version", "-version":
            console.show(SetupVersion.text)
            return .done
        default: break
        }
        do {
            let (command, rest) = try CommandTable.find(arguments)
            return try run(command, rest, environment, console)
        } catch let error as UsageError {
            console.tell("setup: \(error.reason) (setup --help tells the commands)")
            return .usage
        } catch {
            console.tell("setup: \(error)")
            return .failed
        }
    }

    private static func run(
        _ command: Command, _ rest: [String], _ environment: SetupEnvironment, _ console: Console
    ) throws -> ExitStatus {
        let arguments: Arguments
        do throws(UsageError) {
            arguments = try Arguments(rest, flags: command.allFlags)
            if arguments.has(.help) {
                console.show(command.help.trimmed)
                return .done
            }
            guard command.operandCount.contains(arguments.positionals.count) else {
                let extra = arguments.positionals.dropFirst(command.operandCount.upperBound).first
                throw UsageError(
                    extra.map { "unexpected argument \(Diagnostic.excerpt($0))" } ?? "\(command.operands) is needed")
            }
        } catch {
            // The flags could not be read, and with them not whether JSON is wanted.
            return refuse(error, command, isJSON: rest.contains("--json") || rest.contains("-json"), console)
        }
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
            console.tell("setup \(command.name): the result could not be written to standard output: \(cause)")
            return .failed
        }
        return outcome.status.withLock { $0 }
    }

    private final class Outcome: Sendable {
        let status = Mutex(ExitStatus.failed)
    }

    /// Runs the command and tells a failure, on standard output too where JSON was asked for.
    private static func run(_ command: Command, _ invocation: Invocation) async -> ExitStatus {
        let (console, isJSON) = (invocation.console, invocation.arguments.has(.json))
        do { return try await command.run(invocation) } catch let error as UsageError {
            return refuse(error, command, isJSON: isJSON, console)
        } catch {
            let failure = FailureReport(error)
            console.tell("setup \(command.name): \(failure.text)")
            if isJSON { console.show(json: failure) }
            return .failed
        }
    }

    private static func refuse(
        _ error: UsageError, _ command: Command, isJSON: Bool, _ console: Console
    ) -> ExitStatus {
        let remedy = "setup \(command.name) --help tells the flags"
        console.tell("setup \(command.name): \(error.reason) (\(remedy))")
        if isJSON { console.show(json: FailureReport(error, remedy: remedy)) }
        return .usage
    }
}

extension String {
    /// Without the line feed that a literal of whole lines ends with.
    var trimmed: String { hasSuffix("\n") ? String(dropLast()) : self }
}
