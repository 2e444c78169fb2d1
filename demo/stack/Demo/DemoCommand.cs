namespace SnapshotFlow.Stack.Demo;

/// <summary><c>demo</c>: starts everything, runs the scenario, tells and writes what was found.</summary>
internal static class DemoCommand
{
    public static async Task<int> RunAsync(StackOptions options, string? jsonFile, CancellationToken ct)
    {
        var console = new DemoConsole();
        console.Chapter("0  Starting PostgreSQL, Temporal, the API, the workers and a guest");
        DemoReport report;
        await using (var stack = await DevelopmentStack.StartAsync(options, console.Say, ct))
        {
            var server = await GuestServer.StartAsync(stack, new GuestServerOptions(), ct);
            console.Say($"server {server.Id} with three volumes; its guest writes 1, 2, 3 … to one after the other");
            using var tenant = new TenantClient(stack.Api, stack.Tokens.Tenant);
            report = await new DemoScenario(stack, server, tenant, console).RunAsync(ct);
        }
        Summarise(console, report);
        if (jsonFile is not null)
        {
            await File.WriteAllTextAsync(jsonFile, report.ToJson() + "\n", ct);
        }
        if (console.Failed.Count == 0)
        {
            return 0;
        }
        throw new StackException($"the demo did not hold what it promises:\n{string.Join('\n', console.Failed.Select(f => "  ✗ " + f))}\nThe logs are in {Path.Combine(Path.GetFullPath(options.StateDirectory), "log")}");
    }

    private static void Summarise(DemoConsole console, DemoReport report) => console.Table("SnapshotFlow",
    [
        ("image", $"{report.Image.Status}, {report.Image.Volumes} volumes, {report.Consistency}-consistent"),
        ("guest frozen for", DemoConsole.Milliseconds(report.FreezeMs)),
        ("between first and last cut", DemoConsole.Milliseconds(report.CutSkewMs)),
        ("witness on the restored volumes", report.Witness.Consistent ? "consistent" : "INCONSISTENT"),
        ("worker killed between freeze and thaw", $"image {report.CrashResume.ImageStatus}, {report.CrashResume.DuplicateSnapshots} duplicates, witness {(report.CrashResume.WitnessConsistent ? "consistent" : "INCONSISTENT")}"),
        ("failed run left", $"{report.Compensation.LeftoverSnapshots} snapshots, {report.Compensation.LeftoverImages} images, {report.Compensation.QuotaLeaked} quota, guest {(report.Compensation.GuestFrozen ? "FROZEN" : "thawed")}"),
    ]);
}
