using System.Diagnostics;
using System.Text.Json;

namespace SnapshotFlow.DemoGuest;

/// <summary>
/// A file with one line of JSON for each freeze and thaw, so that a freeze can be measured from outside:
/// <c>{"at":"2024-05-01T12:00:00.1234567+00:00","monotonic_ns":123456789,"event":"frozen"}</c>, event <c>frozen</c> or <c>thawed</c>.
/// <c>monotonic_ns</c> is the host's CLOCK_MONOTONIC in nanoseconds, comparable between processes of one host.
/// </summary>
internal sealed class Journal(string? path, TimeProvider time)
{
    private readonly Lock gate = new();

    public void Append(string name)
    {
        if (path is null)
        {
            return;
        }

        var nanoseconds = (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
        var line = JsonSerializer.Serialize(new { at = time.GetUtcNow(), monotonic_ns = nanoseconds, @event = name });
        lock (gate)
        {
            File.AppendAllText(path, line + "\n");
        }
    }
}
