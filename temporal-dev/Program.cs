using SnapshotFlow.TemporalDev.Hosting;
using SnapshotFlow.TemporalDev.Store.Postgres;

var parent = ParentWatch.Parent();
try
{
    if (CommandLine.Parse(args) is not { } options)
    {
        Console.WriteLine(CommandLine.Help);
        return 0;
    }

    await using var server = await TemporalDevServer.StartAsync(options);
    if (options.LogLevel <= LogLevel.Information)
    {
        Console.WriteLine($"temporal-dev listens on {server.Address}");
    }

    using var ended = new CancellationTokenSource();
    var orphaned = options.IsTestServer ? ParentWatch.ParentEndedAsync(parent, ended.Token) : Task.Delay(Timeout.Infinite, ended.Token);
    await Task.WhenAny(server.Stopped, orphaned);
    await ended.CancelAsync();
    return 0;
}
catch (Exception e) when (e is UsageException or StoreException or IOException or ArgumentException or FormatException)
{
    Console.Error.WriteLine($"temporal-dev: {e.Message}");
    return 1;
}
