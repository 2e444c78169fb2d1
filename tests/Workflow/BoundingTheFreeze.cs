using SnapshotFlow.Model;
using Temporalio.Exceptions;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>These tests let the freeze deadline pass in real time, because a running activity holds the clock.</summary>
public sealed class BoundingTheFreeze(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Fact]
    public async Task At_the_deadline_the_guest_is_thawed_although_a_cut_goes_on_and_the_image_says_crash()
    {
        var cloud = fixture.Use(new());
        var slow = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", slow);
        var run = await fixture.StartAsync(cloud.Request(deadline: FreezeDeadline.Minimum));
        await slow.Reached;

        await Eventually.TrueAsync(() => cloud.Journal.Contains("Unquiesce") && !cloud.Frozen);
        slow.Release();
        var result = await run.GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
        Assert.True(result.Evidence.LeaseExpired);
    }

    [Theory]
    [InlineData(null, null, 8)]
    [InlineData(null, 20, 20)]
    [InlineData(3, 20, 3)]
    public async Task The_deadline_is_the_requests_or_the_servers_or_8_seconds(int? request, int? server, int expected)
    {
        TimeSpan? Seconds(int? number) => number is { } s ? TimeSpan.FromSeconds(s) : null;
        var cloud = fixture.Use(new() { ServerDeadline = Seconds(server) });

        await (await fixture.StartAsync(cloud.Request(deadline: Seconds(request)))).GetResultAsync();

        Assert.Equal(Seconds(expected), cloud.AskedDeadline);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task A_compute_host_whose_clock_is_an_hour_off_costs_the_image_nothing(int hours)
    {
        var cloud = fixture.Use(new() { HostClockError = TimeSpan.FromHours(hours) });

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal((Consistency.Application, false), (result.Evidence!.Consistency, result.Evidence.LeaseExpired));
    }

    [Fact]
    public async Task At_the_deadline_a_back_end_that_copies_makes_an_image_that_claims_nothing()
    {
        var cloud = fixture.Use(new() { InstantCuts = false });
        var slow = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", slow);
        var run = await fixture.StartAsync(cloud.Request(deadline: FreezeDeadline.Minimum));
        await slow.Reached;

        await Eventually.TrueAsync(() => !cloud.Frozen && cloud.Freezes == 1);
        slow.Release();

        Assert.Equal(Consistency.None, (await run.GetResultAsync()).Evidence!.Consistency);
    }

    [Theory]
    [InlineData(QuiesceMode.Try, ExpiryPolicy.Fail, false)]
    [InlineData(QuiesceMode.Require, ExpiryPolicy.Downgrade, false)]
    [InlineData(QuiesceMode.Try, ExpiryPolicy.Downgrade, true)]
    public async Task At_the_deadline_a_run_that_must_be_application_consistent_fails_and_leaves_nothing(QuiesceMode quiesce, ExpiryPolicy expiry, bool serverRequires)
    {
        var cloud = fixture.Use(new() { RequireQuiesce = serverRequires });
        var slow = Fault.HoldsDeaf();
        cloud.Script("CreateVolumeSnapshot", slow);
        var run = await fixture.StartAsync(cloud.Request(quiesce, FreezeDeadline.Minimum, expiry));
        await slow.Reached;

        await Eventually.TrueAsync(() => !cloud.Frozen && cloud.Freezes == 1);
        slow.Release();
        var failure = await Assert.ThrowsAsync<WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Equal(nameof(ErrorKind.FreezeExpired), Assert.IsType<ApplicationFailureException>(failure.InnerException).ErrorType);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_thaw_that_finds_the_guest_thawed_already_makes_the_image_crash_consistent()
    {
        var cloud = fixture.Use(new());
        cloud.ThawTruth = truth => truth with { WasFrozen = false, LeaseExpired = true };

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
    }

    [Fact]
    public async Task A_thaw_whose_agent_reports_trouble_makes_the_image_crash_consistent_and_says_why()
    {
        var cloud = fixture.Use(new());
        cloud.ThawTruth = truth => truth with { AgentError = "VSS gave up after 10 s" };

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
        Assert.Contains("VSS gave up after 10 s", result.Evidence.Reason, StringComparison.Ordinal);
    }
}
