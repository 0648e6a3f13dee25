/// What serves the requests of one connection, in whatever version of HTTP.
protocol RequestServer: AnyObject {
    /// Serves until the connection is over. Its owner closes it then.
    func serve() async -> ServerOutcome
    /// The requests that are under way are the last ones, with those that the client sends before it can have heard so, where
    /// it is told.
    func takeNoMoreRequests()
    /// The requests that are under way are the last ones, whatever the client has sent: nobody would wait for another.
    func refuseRequests()
    /// The proxy begins to drain, and serves what comes meanwhile. For whoever can tell its client so without a response.
    func drainBegins()
    /// Ends the requests that are under way, and the connection with them.
    func endNow()
    /// Gives everything back, at the end of the connection.
    func close()
}

/// What the owner of a connection does when its requests are over.
enum ServerOutcome {
    /// Everything sent is whole: close in order.
    case close
    /// The last response broke off.
    case cut
    /// The peer broke the rules and was told so: close in order, as long as it does not go on.
    case refused
}
