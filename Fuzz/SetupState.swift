internal import TunnelSetup

/// Reads the input as the file of unfinished work. Nothing may trap, whatever numbers it holds; a note leaves time within
/// its bounds; what is read is the same when it is written and read again.
func checkSetupState(_ bytes: [UInt8]) {
    let contents = StoreContents([.setupState: bytes])
    _ = UnfinishedWork(in: contents)
    guard let state = try? SetupState.read(contents) else { return }
    if let note = state.creation {
        for now in [Int64.min, -1, 0, 1_800_000_000, .max] {
            for lifetime in [Int64(0), 75, .max] {
                let left = note.secondsLeft(of: lifetime, now: now)
                precondition((0...lifetime).contains(left), "a wait that is longer than the note's life")
            }
        }
    }
    var changes = StoreChanges()
    guard (try? state.record(in: &changes)) != nil else { preconditionFailure("a state that cannot be written") }
    let again = try? SetupState.read(contents.applying(changes, revision: ""))
    precondition(again == state, "a state that changes when it is written")
}
