// Confines itself by a configuration, as mcp-proxy does at its start, and then tries what it is told to on standard input,
// a line each:
//
//     sandbox-escape CONFIG [WRITABLE-FOLDER]
//
// It prints `ready` with what is in force, and for each line the line and what came of it: `ok`, or the name of the error.
// `calls` tries every call of the list. With a folder it confines itself as setup does that writes there. A test tool, never
// shipped.

import Glibc
import TunnelIO
import TunnelProxy

func say(_ text: String) {
    var text = text + "\n"
    text.withUTF8 { _ = write(1, $0.baseAddress, $0.count) }
}

let arguments = CommandLine.arguments
do {
    let configuration = try ProxyConfiguration.load(path: arguments[1])
    var rules = configuration.sandboxRules(file: arguments[1])
    if arguments.count > 2 { rules.writable = [arguments[2]] }
    let state = try Sandbox.apply(rules, mode: configuration.sandboxMode)
    say("ready landlock=\(state.landlock) calls=\(state.filtersCalls) missing=\(state.missing)")
    while let line = readLine() {
        // Without a filter some of them would do something.
        if line == "calls", state.filtersCalls {
            for call in DeniedCall.all {
                if let outcome = Attempt.make(call) { say("\(line) \(call.name): \(outcome)") }
            }
        } else {
            say("\(line): \(Attempt(line).outcome())")
        }
    }
} catch {
    say("\(error)")
    exit(1)
}
