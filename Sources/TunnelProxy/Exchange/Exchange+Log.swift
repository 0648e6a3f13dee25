internal import TunnelCore
internal import TunnelIO

/// The lines of the log that an exchange writes: where it begins and ends, and what goes wrong in between.
extension Exchange {
    func warn(_ message: @autoclosure () -> String, _ fields: (inout LogLine) -> Void) {
        worker.log(.warn, message()) { line in
            labels.writeID(to: &line)
            fields(&line)
        }
    }

    func logStart() {
        worker.log(.info, "request started") { line in
            labels.writeID(to: &line)
            if let routeName { line.field("route", routeName) }
            labels.write(to: &line)
        }
    }

    func logFinish() {
        worker.log(.info, "request finished") { line in
            labels.writeID(to: &line)
            if let routeName { line.field("route", routeName) }
            labels.write(to: &line)
            labels.writeRest(to: &line)
            if let ids = trace.ids { line.field("trace_id", ids.traceID.text) }
            if let stream = server?.streamID {
                line.field("protocol", ApplicationProtocol.http2.rawValue)
                line.field("stream", UInt64(stream))
            }
            record.write(to: &line, now: Reactor.clock())
        }
    }
}
