using System.Net;
using SnapshotFlow.Drivers.Layers;
using SnapshotFlow.Stack;

namespace SnapshotFlow.Tests.RealBackends;

/// <summary>The compute worker dies while a real guest is frozen through the real agent.</summary>
public sealed class KillingTheComputeWorker(RealStack real)
{
    private static readonly TimeSpan RunDeadline = TimeSpan.FromMinutes(3);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_guard_thaws_the_guest_by_its_deadline_without_it()
    {
        await real.NeedAsync();
        await using var guest = await RealGuest.MakeAsync(real, RealBackend.Qemu, dataDisks: 1);
        await File.WriteAllTextAsync(real.FaultFile, FaultRule.Write([new() { Operation = VolumeOperation.CreateGroupSnapshot, Fault = VolumeFault.Delay, Delay = TimeSpan.FromSeconds(30) }]), Ct);
        try
        {
            var answer = (await real.Tenant.PostAsync("/runs", new { server_id = guest.Id.ToString(), name = "killed", freeze_deadline = 10, on_expiry = "downgrade" }, Ct))
                .Expect(HttpStatusCode.Accepted);
            var image = answer.Body.GetProperty("image_id").GetString()!;
            await real.Tenant.WaitForRunAsync(image, "between freeze and thaw", r => r.Did("Quiesce"), RunDeadline, Ct);
            await real.Stack.KillWorkerAsync(WorkerRole.Compute, Ct);

            // Nobody but the guard is left to thaw; what the guest's agent says is what counts.
            await Wait.UntilAsync("the guest to be thawed", TimeSpan.FromSeconds(60), async ct => (await AgentShell.AskAsync(guest.AgentSocket, "guest-fsfreeze-status", ct)).GetString() == "thawed", Ct);
            var ended = await File.ReadAllTextAsync(Path.Combine(real.Stack.LeaseDirectory, "ended", $"{guest.Id}.json"), Ct);
            Assert.Contains("guard", ended, StringComparison.OrdinalIgnoreCase);
            Assert.StartsWith("freeze\nthaw\n", await guest.ShellAsync("cat /run/hook.calls"), StringComparison.Ordinal);

            await real.Stack.StartWorkerAsync(WorkerRole.Compute, Ct);
            File.Delete(real.FaultFile);
            var run = await real.Tenant.WaitForEndAsync(image, RunDeadline, Ct);
            Assert.Equal("completed", run.Status);
            Assert.Equal("crash", run.Evidence!.Consistency);
            Assert.True(run.Evidence.LeaseExpired);
        }
        finally
        {
            File.Delete(real.FaultFile);
        }
    }
}
