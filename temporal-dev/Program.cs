using SnapshotFlow.TemporalDev.Hosting;

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

    await server.Stopped;
    return 0;
}
catch (Exception e) when (e is UsageException or IOException or ArgumentException or FormatException)
{
    Console.Error.WriteLine($"temporal-dev: {e.Message}");
    return 1;
}
