using SnapshotFlow.Model;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;

namespace SnapshotFlow.Tests.Workflow;

public sealed class DecidingOnTheFreeze(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    [Fact]
    public async Task A_guest_that_cannot_freeze_gets_a_crash_consistent_image_that_says_why()
    {
        var cloud = fixture.Use(new() { Guest = new(false, "no answer from the agent") });

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal((Consistency.Crash, "no answer from the agent"), (result.Evidence!.Consistency, result.Evidence.Reason));
        Assert.Equal(0, cloud.Freezes);
    }

    [Theory]
    [InlineData(QuiesceMode.Require, false)]
    [InlineData(QuiesceMode.Try, true)]
    public async Task A_guest_that_cannot_freeze_but_must_is_refused_before_any_cut(QuiesceMode quiesce, bool serverRequires)
    {
        var cloud = fixture.Use(new() { Guest = new(false, "no answer from the agent"), RequireQuiesce = serverRequires });

        var acceptance = await fixture.AcceptAsync(cloud.Request(quiesce));

        Assert.Equal(ErrorKind.QuiesceFailed, acceptance.Refusal!.Kind);
        Assert.DoesNotContain("CreateVolumeSnapshot", cloud.Journal);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_server_without_an_agent_that_must_be_frozen_is_refused_as_a_bad_request()
    {
        var cloud = fixture.Use(new() { AgentAddress = null, RequireQuiesce = true });

        var acceptance = await fixture.AcceptAsync(cloud.Request());

        Assert.Equal(new Refusal(ErrorKind.InvalidRequest, "QEMU guest agent is not enabled"), acceptance.Refusal);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_request_to_skip_the_freeze_is_refused_for_a_server_that_requires_it()
    {
        var cloud = fixture.Use(new() { RequireQuiesce = true });

        var acceptance = await fixture.AcceptAsync(cloud.Request(QuiesceMode.Skip));

        Assert.Equal(ErrorKind.InvalidRequest, acceptance.Refusal!.Kind);
    }

    [Fact]
    public async Task A_request_to_skip_the_freeze_does_not_touch_the_guest()
    {
        var cloud = fixture.Use(new());

        var result = await (await fixture.StartAsync(cloud.Request(QuiesceMode.Skip))).GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
        Assert.DoesNotContain(cloud.Journal, a => a is "ProbeGuest" or "Quiesce" or "Unquiesce");
    }

    [Fact]
    public async Task A_freeze_that_fails_after_acceptance_is_thawed_before_the_first_cut_and_the_image_says_crash()
    {
        var cloud = fixture.Use(new());
        cloud.Script("Quiesce", Fault.DoneButFails(), Fault.DoneButFails());

        var result = await (await fixture.StartAsync(cloud.Request())).GetResultAsync();

        Assert.Equal(Consistency.Crash, result.Evidence!.Consistency);
        Assert.Equal("Unquiesce", cloud.Journal.SkipWhile(a => a != "Quiesce").SkipWhile(a => a == "Quiesce").First());
        Assert.False(cloud.Frozen);
    }

    [Fact]
    public async Task A_freeze_that_fails_but_is_required_fails_the_run_thaws_and_leaves_nothing()
    {
        var cloud = fixture.Use(new());
        cloud.Script("Quiesce", Fault.DoneButFails(), Fault.DoneButFails());
        var run = await fixture.StartAsync(cloud.Request(QuiesceMode.Require));

        await Assert.ThrowsAsync<Temporalio.Exceptions.WorkflowFailedException>(() => run.GetResultAsync());

        Assert.Contains("Unquiesce", cloud.Journal);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_plan_tells_what_would_happen_and_touches_nothing()
    {
        var cloud = fixture.Use(new());

        var plan = await PlanAsync(cloud.Request());
        var refused = await PlanAsync(cloud.Request() with { Quiesce = QuiesceMode.Skip });

        Assert.Equal((null, Consistency.Application), (plan.Refusal, plan.Consistency));
        Assert.Equal(3, plan.Volumes.Count);
        Assert.Equal((Consistency.Crash, "the request asked for no freeze"), (refused.Consistency, refused.Reason));
        Assert.Equal(["PlanImage", "ProbeGuest", "PlanImage"], cloud.Journal);
        cloud.AssertNothingLeft();
    }

    [Fact]
    public async Task A_plan_for_a_request_that_would_be_refused_says_why()
    {
        var cloud = fixture.Use(new());
        cloud.Script("PlanImage", Fault.Fails(ErrorKind.QuotaExceeded, "Quota exceeded for resources: snapshots"));

        var plan = await PlanAsync(cloud.Request());

        Assert.Equal(new Refusal(ErrorKind.QuotaExceeded, "Quota exceeded for resources: snapshots"), plan.Refusal);
    }

    private async Task<ImagePlan> PlanAsync(CreateImageInput request)
    {
        var run = await fixture.Client.StartWorkflowAsync((PlanImageWorkflow w) => w.RunAsync(request), new($"plan-image/{Guid.NewGuid()}", Names.ControlQueue));
        return await run.GetResultAsync();
    }
}
