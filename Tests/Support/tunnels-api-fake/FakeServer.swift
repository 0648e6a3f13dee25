import Glibc
import TunnelAPI
import TunnelIO
import TunnelsAPIFake

/// The fake on one loop, with its connections.
final class FakeServer {
    /// Connections at a time; more are closed at once.
    static let maxConnections = 256

    let reactor: Reactor
    private let api: FakeTunnelsAPI
    private let control: FakeControl
    private let file: StateFile?
    private let isQuiet: Bool
    private var savedRevision: Int
    private var acceptor: Acceptor?
    private var connections = 0

    init(_ api: FakeTunnelsAPI, _ file: StateFile?, _ reactor: Reactor, isQuiet: Bool) {
        (self.api, self.file, self.reactor, self.isQuiet) = (api, file, reactor, isQuiet)
        control = FakeControl(api)
        savedRevision = api.revision
    }

    func accept(from listener: Listener) throws(IOError) {
        let loop = reactor.loop
        acceptor = try Acceptor(
            listener, on: reactor, isShared: false,
            accepted: { descriptor, _ in
                loop.spawn { loop in await (loop.reactor.context as? FakeServer)?.serve(descriptor) }
            },
            failed: { error in Output.complain("tunnels-api-fake: accept: \(error)\n") })
    }

    private func serve(_ descriptor: CInt) async {
        guard connections < FakeServer.maxConnections, let socket = try? Socket(adopting: descriptor, on: reactor)
        else {
            if connections >= FakeServer.maxConnections { close(descriptor) }
            return
        }
        connections += 1
        await FakeConnection(socket, self).serve()
        connections -= 1
    }

    /// What becomes of the request; its effect is on disk when this returns.
    func answer(_ request: FakeRequest) -> FakeAnswer {
        let answer = control.answer(request).map(FakeAnswer.response) ?? api.answer(request)
        if let file, api.revision != savedRevision {
            savedRevision = api.revision
            do { try file.save(api) } catch {
                // To go on would be to forget it at the next start.
                Output.complain("tunnels-api-fake: \(error)\n")
                exit(1)
            }
        }
        if !isQuiet { Output.write(line(request, answer)) }
        return answer
    }

    /// Method, path and outcome; never the query, a field or a body.
    private func line(_ request: FakeRequest, _ answer: FakeAnswer) -> String {
        let outcome =
            switch answer {
            case .response(let response): FakeServer.text(response)
            case .truncated(let response, _): "\(FakeServer.text(response)), cut off"
            case .stall: "no response"
            case .drop, .refuse: "connection reset"
            }
        return "\(request.method) \(request.path) → \(outcome)\n"
    }

    private static func text(_ response: HTTPResponse) -> String {
        "\(response.status)" + (response.first("request-id").map { " \($0)" } ?? "")
    }
}
