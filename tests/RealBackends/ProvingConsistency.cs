using System.Globalization;
using System.Net;
using SnapshotFlow.Drivers;
using SnapshotFlow.Model;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>Images of a real guest under full write load, judged by what can be restored from them.</summary>
public sealed class ProvingConsistency(RealStack real)
{
    private static readonly TimeSpan RunDeadline = TimeSpan.FromMinutes(3);

    /// <summary>How many images in a row; 20 unless the environment says otherwise.</summary>
    private static int Rounds => int.TryParse(Environment.GetEnvironmentVariable("SNAPSHOTFLOW_TEST_ROUNDS"), CultureInfo.InvariantCulture, out var rounds) ? rounds : 20;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(RealBackend.Qemu)]
    [InlineData(RealBackend.Rbd)]
    public async Task Images_in_a_row_are_application_consistent_and_their_file_systems_clean(RealBackend backend)
    {
        await real.NeedAsync();
        await using var guest = await RealGuest.MakeAsync(real, backend);
        await guest.StartWitnessAsync();
        var frozen = new List<(RunView Run, RestoredSet Set)>();
        for (var i = 0; i < Rounds; i++)
        {
            frozen.Add(await MakeAsync(guest, backend, $"{backend}-{i}", "try"));
        }

        var unfrozen = new List<(RunView Run, RestoredSet Set)>();
        for (var i = 0; i < Math.Max(1, Rounds / 4); i++)
        {
            unfrozen.Add(await MakeAsync(guest, backend, $"{backend}-unfrozen-{i}", "skip"));
        }

        Report($"{backend}, frozen", frozen);
        Report($"{backend}, not frozen", unfrozen);
        Assert.All(frozen, f => Assert.Equal("application", f.Run.Evidence!.Consistency));
        Assert.All(frozen, f => Assert.True(f.Set.OneInstant, f.Set.ToString()));
        Assert.All(frozen, f => Assert.True(f.Set.Flushed, f.Set.ToString()));
        // Both back ends cut an unfrozen guest's volumes at one instant, but nobody flushed.
        Assert.All(unfrozen, u => Assert.Equal("crash", u.Run.Evidence!.Consistency));
        Assert.All(unfrozen, u => Assert.Equal(0, u.Run.Evidence!.CutSkewMs));
        Assert.All(unfrozen, u => Assert.True(u.Set.OneInstant, u.Set.ToString()));
    }

    [Theory]
    [InlineData(RealBackend.Qemu)]
    [InlineData(RealBackend.Rbd)]
    public async Task A_second_guest_boots_from_an_image_and_its_agent_answers(RealBackend backend)
    {
        await real.NeedAsync();
        var restored = new List<VolumeId>();
        await using (var guest = await RealGuest.MakeAsync(real, backend))
        {
            await guest.StartWitnessAsync();
            var (_, members) = await ImageAsync(guest, $"{backend}-used", "try");
            foreach (var member in members)
            {
                restored.Add(VolumeId.New());
                var snapshot = (await real.Driver(backend).FindSnapshotAsync(member.Volume, member.Snapshot, Ct))!;
                await real.Driver(backend).CreateVolumeFromSnapshotAsync(restored[^1], member.Volume, member.Snapshot, snapshot.SizeBytes, null, Ct);
            }
        }

        await using var second = await RealGuest.BootAsync(real, backend, restored);
        var numbers = await second.NumbersAsync();
        Assert.NotNull(numbers);
        Assert.True(new RestoredSet(numbers, numbers, 0, 0).OneInstant, string.Join(", ", numbers));
        Assert.DoesNotContain("recovery", await second.ShellAsync("dmesg | grep EXT4"), StringComparison.Ordinal);
        Assert.Equal("3", (await second.ShellAsync("grep -c /data/data /proc/mounts")).Trim());
        await second.StartWitnessAsync();
    }

    private async Task<(RunView Run, RestoredSet Set)> MakeAsync(RealGuest guest, RealBackend backend, string name, string quiesce)
    {
        var (run, members) = await ImageAsync(guest, name, quiesce);
        var set = await RestoredSet.LookAsync(real, backend, [.. members.Skip(1)]);
        foreach (var member in members)
        {
            await real.Driver(backend).DeleteSnapshotAsync(member.Volume, member.Snapshot, Ct);
        }

        return (run, set);
    }

    private async Task<(RunView Run, IReadOnlyList<GroupMember> Members)> ImageAsync(RealGuest guest, string name, string quiesce)
    {
        var answer = (await real.Tenant.PostAsync("/runs", new { server_id = guest.Id.ToString(), name, quiesce, freeze_deadline = 45 }, Ct)).Expect(HttpStatusCode.Accepted);
        var run = await real.Tenant.WaitForEndAsync(answer.Body.GetProperty("image_id").GetString()!, RunDeadline, Ct);
        Assert.True(run.Status == "completed", $"{run.Status}: {run.Reason?.Message}");
        var cuts = run.Evidence!.Cuts.ToDictionary(c => c.VolumeId, c => c.SnapshotId);
        return (run, [.. guest.Volumes.Select(v => new GroupMember(v, SnapshotId.Parse(cuts[v.ToString()], CultureInfo.InvariantCulture)))]);
    }

    private static void Report(string what, List<(RunView Run, RestoredSet Set)> images)
    {
        var freezes = images.Select(i => i.Run.Evidence!.FreezeMs ?? 0).Order().ToList();
        TestContext.Current.SendDiagnosticMessage(string.Create(CultureInfo.InvariantCulture,
            $"Proof: {what}: {images.Count(i => i.Set.OneInstant)} of {images.Count} at one instant, {images.Count(i => i.Set.Flushed)} flushed and clean, journals to replay {images.Sum(i => i.Set.Replays)}, "
            + $"freeze ms median {freezes[freezes.Count / 2]:0} worst {freezes[^1]:0}, skew ms worst {images.Max(i => i.Run.Evidence!.CutSkewMs ?? 0):0.0}"));
    }
}
