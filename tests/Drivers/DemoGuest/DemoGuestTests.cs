using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using SnapshotFlow.DemoGuest;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.File;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;
using SnapshotFlow.Tests.Drivers.File;

namespace SnapshotFlow.Tests.Drivers.DemoGuest;

/// <summary>The demo guest as a process of its own, spoken to through its socket.</summary>
public sealed class DemoGuestTests(BtrfsFileSystem btrfs) : IAsyncLifetime, IClassFixture<BtrfsFileSystem>
{
    private readonly string directory = Directory.CreateTempSubdirectory("snapshotflow-guest-").FullName;
    private readonly List<Process> processes = [];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private string SocketPath => Path.Join(directory, "agent.sock");

    private string JournalPath => Path.Join(directory, "journal");

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var process in processes)
        {
            if (!process.HasExited)
            {
                process.Kill();
                await process.WaitForExitAsync(CancellationToken.None);
            }

            process.Dispose();
        }

        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task A_frozen_guest_writes_nothing_and_a_thawed_one_goes_on()
    {
        var disks = await StartAsync();
        var agent = Agent();
        var freeze = await agent.FreezeAsync(Ct);
        Assert.Equal(3, freeze.FrozenFileSystems);
        var frozen = disks.Select(System.IO.File.ReadAllBytes).ToList();
        Assert.Equal(GuestFreezeStatus.Frozen, await agent.StatusAsync(Ct));
        for (var i = 0; i < 20; i++)
        {
            await agent.ProbeAsync(Ct);
        }

        Assert.All(disks.Zip(frozen), pair => Assert.True(pair.Second.AsSpan().SequenceEqual(System.IO.File.ReadAllBytes(pair.First))));
        var before = Witness.Read(disks);
        Assert.True(before.Consistent, before.Reason);
        var thaw = await agent.ThawAsync(Ct);
        Assert.Equal((3, true), (thaw.ThawedFileSystems, thaw.WasFrozen));
        await UntilAsync(() => WitnessDisk.ReadLast(disks[2], 3) > before.Sequences[0]);
    }

    [Fact]
    public async Task Probing_says_that_it_can_be_frozen_also_while_it_is()
    {
        await StartAsync();
        var agent = Agent();
        Assert.Equal((true, true, GuestFreezeStatus.Thawed), Facts(await agent.ProbeAsync(Ct)));
        await agent.FreezeAsync(Ct);
        Assert.Equal((true, true, GuestFreezeStatus.Frozen), Facts(await agent.ProbeAsync(Ct)));
        Assert.Equal(ErrorKind.StaleStatus, (await Assert.ThrowsAsync<SnapshotFlowException>(() => agent.FreezeAsync(Ct))).Kind);
        await agent.ThawAsync(Ct);
        Assert.False((await agent.ThawAsync(Ct)).WasFrozen);

        static (bool, bool, GuestFreezeStatus?) Facts(GuestProbe probe) => (probe.Answers, probe.CanFreeze, probe.Status);
    }

    [Fact]
    public async Task A_freeze_outlives_the_connection_that_made_it()
    {
        await StartAsync();
        await SayAsync("""{"execute":"guest-fsfreeze-freeze"}""");
        Assert.Equal(GuestFreezeStatus.Frozen, await Agent().StatusAsync(Ct));
        Assert.True((await Agent().ThawAsync(Ct)).WasFrozen);
    }

    [Fact]
    public async Task A_client_that_sent_half_a_command_does_not_disturb_the_next_one()
    {
        await StartAsync();
        using (var rude = await ConnectAsync())
        {
            await rude.SendAsync(Encoding.UTF8.GetBytes("""{"execute":"guest-fsfreeze-fr"""), Ct);
        }

        Assert.Equal(GuestFreezeStatus.Thawed, await Agent().StatusAsync(Ct));
    }

    [Fact]
    public async Task A_second_client_gets_no_answer_until_the_first_has_gone()
    {
        await StartAsync();
        using var first = await ConnectAsync();
        Assert.Equal("""{"return":{}}""", await SayAsync(first, """{"execute":"guest-ping"}"""));
        var second = new QgaGuestAgent(SocketPath, new() { CallTimeout = TimeSpan.FromMilliseconds(300) }, TimeProvider.System);
        Assert.Equal(ErrorKind.BackendUnavailable, (await Assert.ThrowsAsync<SnapshotFlowException>(() => second.StatusAsync(Ct))).Kind);
        first.Dispose();
        Assert.Equal(GuestFreezeStatus.Thawed, await Agent().StatusAsync(Ct));
    }

    [Theory]
    [InlineData("""{"execute":"guest-shutdown"}""", "CommandNotFound")]
    [InlineData("""{"execute":7}""", "GenericError")]
    [InlineData("""{}""", "GenericError")]
    [InlineData("""not json""", "GenericError")]
    [InlineData("""{"execute":"guest-sync"}""", "GenericError")]
    [InlineData("""{"execute":"guest-sync-delimited","arguments":{"id":"x"}}""", "GenericError")]
    public async Task A_wrong_command_is_answered_with_an_error_and_the_guest_goes_on(string request, string errorClass)
    {
        await StartAsync();
        using var client = await ConnectAsync();
        using var answer = JsonDocument.Parse(await SayAsync(client, request));
        Assert.Equal(errorClass, answer.RootElement.GetProperty("error").GetProperty("class").GetString());
        Assert.Equal("""{"return":{}}""", await SayAsync(client, """{"execute":"guest-ping"}"""));
    }

    [Fact]
    public async Task While_frozen_only_the_commands_that_end_it_are_enabled()
    {
        await StartAsync();
        using var client = await ConnectAsync();
        Assert.Contains("demo", await SayAsync(client, """{"execute":"guest-get-osinfo"}"""), StringComparison.Ordinal);
        Assert.Equal("""{"return":3}""", await SayAsync(client, """{"execute":"guest-fsfreeze-freeze"}"""));
        foreach (var refused in (string[])["guest-get-osinfo", "guest-fsfreeze-freeze"])
        {
            Assert.Contains("CommandNotFound", await SayAsync(client, $$"""{"execute":"{{refused}}"}"""), StringComparison.Ordinal);
        }

        Assert.Contains("""{"name":"guest-fsfreeze-freeze","enabled":false""", await SayAsync(client, """{"execute":"guest-info"}"""), StringComparison.Ordinal);
        Assert.Equal("""{"return":3}""", await SayAsync(client, """{"execute":"guest-fsfreeze-thaw"}"""));
        Assert.Equal("""{"return":0}""", await SayAsync(client, """{"execute":"guest-fsfreeze-thaw"}"""));
    }

    [Fact]
    public async Task The_journal_tells_each_freeze_and_thaw_with_both_clocks()
    {
        await StartAsync();
        var agent = Agent();
        var freeze = await agent.FreezeAsync(Ct);
        await agent.ThawAsync(Ct);
        await agent.ThawAsync(Ct);
        var lines = (await System.IO.File.ReadAllLinesAsync(JournalPath, Ct)).Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(["frozen", "thawed"], lines.Select(l => l.GetProperty("event").GetString()));
        Assert.True(lines[0].GetProperty("at").GetDateTimeOffset() <= freeze.At);
        Assert.True(lines[0].GetProperty("monotonic_ns").GetInt64() < lines[1].GetProperty("monotonic_ns").GetInt64());
    }

    [Theory]
    [InlineData(PosixSignal.SIGTERM, false)]
    [InlineData(PosixSignal.SIGTERM, true)]
    [InlineData(PosixSignal.SIGINT, false)]
    public async Task Asked_to_stop_it_ends_well_and_removes_its_socket_also_when_frozen(PosixSignal signal, bool frozen)
    {
        var disks = await StartAsync();
        if (frozen)
        {
            await Agent().FreezeAsync(Ct);
        }

        await StopAsync(signal);
        Assert.False(System.IO.File.Exists(SocketPath));
        Assert.True(Witness.Read(disks).Consistent);
    }

    [Fact]
    public async Task Started_again_it_goes_on_where_the_disks_stand_also_after_a_kill()
    {
        var disks = await StartAsync();
        processes[^1].Kill();
        await processes[^1].WaitForExitAsync(Ct);
        var before = Witness.Read(disks);
        Assert.True(before.Consistent, before.Reason);
        await StartAsync();
        await UntilAsync(() => WitnessDisk.ReadLast(disks[2], 3) > before.Sequences[0] + 2);
        await StopAsync(PosixSignal.SIGTERM);
        var after = Witness.Read(disks);
        Assert.True(after.Consistent, after.Reason);
    }

    [Fact]
    public async Task A_second_guest_on_the_same_socket_is_refused_and_the_first_goes_on()
    {
        await StartAsync();
        var (code, error) = await RunAsync("--disk", Path.Join(directory, "other"), "--agent", SocketPath);
        Assert.Equal(2, code);
        Assert.NotEmpty(error);
        Assert.Equal(GuestFreezeStatus.Thawed, await Agent().StatusAsync(Ct));
    }

    [Theory]
    [InlineData("--disk is missing", "--agent", "s")]
    [InlineData("--agent is missing", "--disk", "d")]
    [InlineData("same file twice", "--disk", "d", "--disk", "./d", "--agent", "s")]
    [InlineData("--size must be at least", "--disk", "d", "--agent", "s", "--size", "100")]
    [InlineData("--size", "--disk", "d", "--agent", "s", "--size", "much")]
    [InlineData("together with --check", "--check", "c", "--disk", "d")]
    [InlineData("--check", "--check")]
    [InlineData("--frobnicate", "--frobnicate")]
    public async Task A_wrong_argument_is_refused_by_name(string says, params string[] arguments)
    {
        var (code, error) = await RunAsync(arguments);
        Assert.Equal(2, code);
        Assert.Contains(says, error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_check_answers_in_json_and_by_its_exit_code()
    {
        var disks = await StartAsync();
        await StopAsync(PosixSignal.SIGTERM);
        Assert.Equal(0, (await RunAsync(["--check", .. disks])).Code);
        Assert.Equal(1, (await RunAsync("--check", disks[2], disks[1], disks[0])).Code);
    }

    /// <summary>The whole point: cuts of a frozen guest under write load are of one moment, with a driver that copies and with one that shares blocks.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Snapshots_of_a_frozen_guest_are_consistent(bool reflink)
    {
        var root = Directory.CreateDirectory(Path.Join(reflink ? btrfs.Directory : directory, Guid.NewGuid().ToString("N"))).FullName;
        var driver = new FileVolumeDriver(root, TimeProvider.System);
        await driver.CheckAsync(Ct);
        Assert.Equal(reflink, driver.Capabilities.InstantSnapshot);
        var volumes = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => driver.CreateVolumeAsync(VolumeId.New(), 1 << 20, Ct)));
        await StartAsync([.. volumes.Select(v => v.Handle)]);
        var agent = Agent();
        for (var round = 0; round < 5; round++)
        {
            var freeze = await agent.FreezeAsync(Ct);
            var cuts = await Task.WhenAll(volumes.Select(v => driver.CreateSnapshotAsync(v.Volume, SnapshotId.New(), null, Ct)));
            var thaw = await agent.ThawAsync(Ct);
            Assert.Equal((3, true), (thaw.ThawedFileSystems, thaw.WasFrozen));
            Assert.All(cuts, c => Assert.InRange(c.CreatedAt, freeze.At, thaw.At));
            var restored = await Task.WhenAll(cuts.Select(c => driver.CreateVolumeFromSnapshotAsync(VolumeId.New(), c.Volume, c.Snapshot, c.SizeBytes, null, Ct)));
            var report = Witness.Read([.. restored.Select(v => v.Handle)]);
            Assert.True(report.Consistent, report.Reason);
        }

        await StopAsync(PosixSignal.SIGTERM);
    }

    // ---- what the tests are made of

    private async Task<string[]> StartAsync(string[]? disks = null)
    {
        disks ??= [.. Enumerable.Range(1, 3).Select(i => Path.Join(directory, $"disk{i}"))];
        var already = disks.Select((d, i) => System.IO.File.Exists(d) ? WitnessDisk.ReadLast(d, i + 1) : 0).Max();
        var process = Start([.. disks.SelectMany(d => new[] { "--disk", d }), "--agent", SocketPath, "--journal", JournalPath, "--size", "1048576"]);
        Assert.StartsWith("demo guest: writing to 3 disks", await process.StandardOutput.ReadLineAsync(Ct) ?? await process.StandardError.ReadToEndAsync(Ct), StringComparison.Ordinal);
        await UntilAsync(() => WitnessDisk.ReadLast(disks[2], 3) > already);
        return disks;
    }

    private Process Start(string[] arguments)
    {
        // A test run that was itself started in the background hands down SIGINT as ignored; a program that is to be interrupted must not inherit that.
        string[] command = ["--default-signal=INT,TERM", Path.Join(AppContext.BaseDirectory, "snapshotflow-demo-guest"), .. arguments];
        var process = Process.Start(new ProcessStartInfo("env", command)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = directory,
        })!;
        processes.Add(process);
        return process;
    }

    private async Task<(int Code, string Error)> RunAsync(params string[] arguments)
    {
        var process = Start(arguments);
        var output = process.StandardOutput.ReadToEndAsync(Ct);
        var error = await process.StandardError.ReadToEndAsync(Ct);
        await output;
        await process.WaitForExitAsync(Ct);
        return (process.ExitCode, error);
    }

    private async Task StopAsync(PosixSignal signal)
    {
        var process = processes[^1];
        Assert.Equal(0, Signals.Send(process.Id, signal == PosixSignal.SIGINT ? 2 : 15));
        await process.WaitForExitAsync(Ct).WaitAsync(TimeSpan.FromSeconds(20), Ct);
        Assert.Equal(0, process.ExitCode);
    }

    private QgaGuestAgent Agent() =>
        new(SocketPath, new() { CallTimeout = TimeSpan.FromSeconds(20), FreezeTimeout = TimeSpan.FromSeconds(20) }, TimeProvider.System);

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(SocketPath), Ct);
        return socket;
    }

    private async Task<string> SayAsync(string request)
    {
        using var client = await ConnectAsync();
        return await SayAsync(client, request);
    }

    private static async Task<string> SayAsync(Socket client, string request)
    {
        await client.SendAsync(Encoding.UTF8.GetBytes(request + "\n"), Ct);
        var answer = new List<byte>();
        var one = new byte[1];
        while (await client.ReceiveAsync(one, Ct) == 1 && one[0] != '\n')
        {
            answer.Add(one[0]);
        }

        return Encoding.UTF8.GetString([.. answer]);
    }

    private static byte[] ScriptedLine(string request) => Encoding.UTF8.GetBytes(request + "\n");

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (var began = TimeProvider.System.GetTimestamp(); TimeProvider.System.GetElapsedTime(began) < TimeSpan.FromSeconds(30);)
        {
            try
            {
                if (condition())
                {
                    return;
                }
            }
            catch (InvalidDataException)
            {
                // Read while it was written: a live disk may show a torn record.
            }

            await timer.WaitForNextTickAsync(Ct);
        }

        Assert.Fail("the condition did not come true within 30 s");
    }
}

internal static partial class Signals
{
    [LibraryImport("libc", EntryPoint = "kill")]
    public static partial int Send(int process, int signal);
}
