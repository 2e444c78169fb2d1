using System.CommandLine;
using System.Net.Sockets;
using SnapshotFlow.DemoGuest;

// The "running server" of the demonstration, and the witness of its consistency: see WitnessDisk and Witness.

var disks = new Option<string[]>("--disk") { Description = "A disk file, once per disk, in the order in which they are written; made when absent.", HelpName = "FILE" };
var agent = new Option<string>("--agent") { Description = "Unix socket to speak the QEMU guest agent protocol on.", HelpName = "SOCKET" };
var size = new Option<long>("--size") { Description = "Size in bytes of disks that have to be made.", HelpName = "BYTES", DefaultValueFactory = _ => 16L << 20 };
var journalFile = new Option<string?>("--journal") { Description = "File to append a line of JSON to at each freeze and thaw.", HelpName = "FILE" };
var pause = new Option<TimeSpan>("--pause") { Description = "Time between two rounds of writes; none by default.", HelpName = "HH:MM:SS" };
var check = new Option<string[]>("--check")
{
    Description = "Write nothing; read copies of the disks, print {consistent, sequences, reason} and exit 0 when consistent, 1 when not.",
    HelpName = "FILE",
    AllowMultipleArgumentsPerToken = true,
};

var command = new RootCommand("Demo guest: writes increasing numbers to its disks, freezes and thaws on command, and checks copies of them.") { disks, agent, size, journalFile, pause, check };
command.SetAction(async (arguments, stop) =>
{
    try
    {
        return arguments.GetValue(check) is { Length: > 0 } copies
            ? Check(copies)
            : await RunAsync(arguments.GetValue(disks)!, arguments.GetValue(agent)!, arguments.GetValue(size), arguments.GetValue(journalFile), arguments.GetValue(pause), stop).ConfigureAwait(false);
    }
    catch (Exception e) when (e is IOException or UnauthorizedAccessException or SocketException or ArgumentException)
    {
        await Console.Error.WriteLineAsync($"snapshotflow-demo-guest: {e.Message}").ConfigureAwait(false);
        return 2;
    }
});
var parsed = command.Parse(args);
List<string> wrong = [.. parsed.Errors.Select(e => e.Message)];
if (wrong.Count == 0 && parsed.Action == command.Action)
{
    wrong.AddRange(Wrong());
}

foreach (var message in wrong)
{
    await Console.Error.WriteLineAsync($"snapshotflow-demo-guest: {message}").ConfigureAwait(false);
}

return wrong.Count > 0 ? 2 : await parsed.InvokeAsync().ConfigureAwait(false);

// Rules between the options, asked once each of them is right by itself.
IEnumerable<string> Wrong()
{
    var files = parsed.GetValue(disks) ?? [];
    if (parsed.GetResult(check) is not null)
    {
        return files.Length > 0 ? ["--disk cannot be given together with --check"] : [];
    }

    return new (bool Holds, string Message)[]
    {
        (files.Length > 0, "--disk is missing; give one per disk"),
        (files.Select(Path.GetFullPath).Distinct().Count() == files.Length, "--disk names the same file twice"),
        (parsed.GetValue(agent) is { Length: > 0 }, "--agent is missing; give the path of the agent's socket"),
        (parsed.GetValue(size) >= WitnessDisk.MinBytes, $"--size must be at least {WitnessDisk.MinBytes} bytes"),
    }.Where(rule => !rule.Holds).Select(rule => rule.Message);
}

static int Check(string[] copies)
{
    var report = Witness.Read(copies);
    Console.WriteLine(report.ToJson());
    return report.Consistent ? 0 : 1;
}

static async Task<int> RunAsync(string[] paths, string socket, long newBytes, string? journalPath, TimeSpan pause, CancellationToken stop)
{
    var gate = new FreezeGate();
    var (disks, written) = Workload.Open(paths, newBytes);
    try
    {
        using var server = new GuestAgentServer(socket, new GuestAgentCommands(gate, new Journal(journalPath, TimeProvider.System), disks.Count));
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var stopped = ending.Token.Register(gate.Stop);
        var writing = Task.Factory.StartNew(() => new Workload(disks, gate, pause).Run(written), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var serving = server.RunAsync(ending.Token);
        Console.WriteLine($"demo guest: writing to {disks.Count} disks, agent on {socket}");

        // Whichever ends first ends the other: asked to stop, or a disk or the socket failed.
        await Task.WhenAny(writing, serving).ConfigureAwait(false);
        await ending.CancelAsync().ConfigureAwait(false);
        var last = await writing.ConfigureAwait(false);
        try
        {
            await serving.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Asked to stop.
        }

        Console.WriteLine($"demo guest: stopped after number {last}");
        return 0;
    }
    finally
    {
        foreach (var disk in disks)
        {
            disk.Dispose();
        }
    }
}
