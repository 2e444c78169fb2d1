using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Libvirt;
using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Drivers.Libvirt;

/// <summary>A guest's agent through libvirt: the domain that the environment names.</summary>
public sealed class LibvirtGuestAgentTests
{
    private const string Variable = "SNAPSHOTFLOW_TEST_LIBVIRT";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("qemu:///system#instance-1", "qemu:///system", "instance-1")]
    [InlineData("qemu:///system?socket=/run/x#7d6c4f2e-9b0a-4c67-8d5e-3f2a1b0c9d8e", "qemu:///system?socket=/run/x", "7d6c4f2e-9b0a-4c67-8d5e-3f2a1b0c9d8e")]
    public void An_address_is_a_daemon_and_a_domain(string text, string uri, string name)
    {
        Assert.True(LibvirtDomain.TryParse(text, out var domain));
        Assert.Equal((uri, name), (domain.Uri, domain.Name));
        Assert.NotNull(new GuestAgents(new(), TimeProvider.System).Open("libvirt:" + text));
    }

    [Theory]
    [InlineData("libvirt:")]
    [InlineData("libvirt:instance-1")]
    [InlineData("libvirt:qemu:///system")]
    [InlineData("libvirt:qemu:///system#")]
    [InlineData("libvirt:#instance-1")]
    public void Anything_else_is_refused_with_the_forms_there_are(string address)
    {
        var refusal = Assert.Throws<SnapshotFlowException>(() => new GuestAgents(new(), TimeProvider.System).Open(address));
        Assert.Equal(ErrorKind.InvalidRequest, refusal.Kind);
        Assert.Contains("libvirt:qemu:///system#instance-00000001", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_guest_is_frozen_and_thawed_and_its_agents_words_come_through()
    {
        var agent = Open();
        var probe = await agent.ProbeAsync(Ct);
        Assert.True(probe is { Answers: true, CanFreeze: true, Status: GuestFreezeStatus.Thawed }, probe.ToString());
        var freeze = await agent.FreezeAsync(Ct);
        try
        {
            Assert.InRange(freeze.FrozenFileSystems, 1, 100);
            Assert.Equal(GuestFreezeStatus.Frozen, (await agent.ProbeAsync(Ct)).Status);
            var again = await Assert.ThrowsAsync<SnapshotFlowException>(() => agent.FreezeAsync(Ct));
            Assert.Equal(ErrorKind.StaleStatus, again.Kind);
        }
        finally
        {
            var thaw = await agent.ThawAsync(Ct);
            Assert.Equal((freeze.FrozenFileSystems, true), (thaw.ThawedFileSystems, thaw.WasFrozen));
        }

        Assert.Equal((0, false), ((await agent.ThawAsync(Ct)) is var none ? (none.ThawedFileSystems, none.WasFrozen) : default));
    }

    [Fact]
    public async Task A_domain_that_is_not_there_is_an_answer_with_its_name()
    {
        var address = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(address), Reason);
        var probe = await new GuestAgents(new(), TimeProvider.System).Open(address![..address!.LastIndexOf('#')] + "#nobody").ProbeAsync(Ct);
        Assert.False(probe.Answers);
        Assert.Contains("nobody", probe.Reason!, StringComparison.Ordinal);
    }

    private const string Reason = $"no libvirt domain is configured: set {Variable} to libvirt:URI#DOMAIN of a running guest with an agent";

    private static IGuestAgent Open()
    {
        var address = Environment.GetEnvironmentVariable(Variable);
        Assert.SkipWhen(string.IsNullOrEmpty(address), Reason);
        return new GuestAgents(new() { CallTimeout = TimeSpan.FromSeconds(30), FreezeTimeout = TimeSpan.FromSeconds(30) }, TimeProvider.System).Open(address);
    }
}
