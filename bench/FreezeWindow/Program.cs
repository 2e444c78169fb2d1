using System.Globalization;
using SnapshotFlow.Bench.FreezeWindow;
using SnapshotFlow.Drivers.Rbd;

// Measures storage drivers, and how long a guest stands still while an image is made. Prints Markdown tables; see docs/performance.md.
//   snapshotflow bench backends [--rounds N] [--only calls|sets|freeze]      default 20, all three
// Ceph is measured when SNAPSHOTFLOW_TEST_CEPH_CONF, …_POOL and …_USER name a cluster.
var (rounds, only, wrong) = (20, "", args.Length % 2 != 0);
foreach (var option in args.Chunk(2))
{
    wrong |= option switch
    {
        ["--rounds", var text] => !int.TryParse(text, CultureInfo.InvariantCulture, out rounds) || rounds < 1,
        ["--only", "calls" or "sets" or "freeze"] => (only = option[1]).Length == 0,
        _ => true,
    };
}

if (wrong)
{
    await Console.Error.WriteLineAsync("usage: bench backends [--ceph] [--rounds N] [--only calls|sets|freeze]");
    return 2;
}

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};

static string? Ceph(string name) => Environment.GetEnvironmentVariable($"SNAPSHOTFLOW_TEST_CEPH_{name}") is { Length: > 0 } value ? value : null;

var rbd = Ceph("CONF") is { } conf ? new RbdOptions { Conf = conf, Pool = Ceph("POOL") ?? "volumes", User = Ceph("USER") ?? "cinder" } : null;
var directory = Directory.CreateTempSubdirectory("sf-bench-");
try
{
    foreach (var (part, measure) in new (string, Func<string, RbdOptions?, int, CancellationToken, Task>)[]
    {
        ("calls", DriverLatencies.MeasureAsync), ("sets", SetLatencies.MeasureAsync), ("freeze", FreezeWindows.MeasureAsync),
    })
    {
        if (only.Length == 0 || only == part)
        {
            await measure(directory.FullName, rbd, rounds, stop.Token);
        }
    }

    return 0;
}
finally
{
    directory.Delete(recursive: true);
}
