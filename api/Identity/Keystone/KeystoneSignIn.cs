using SnapshotFlow.Api.Identity.Sessions;

namespace SnapshotFlow.Api.Identity.Keystone;

/// <summary>Has Keystone sign people in and out.</summary>
internal sealed class KeystoneSignIn(KeystoneClient keystone, KeystoneTokens tokens) : ISignIn
{
    public bool HasDomains => true;

    public Task<string> SignInAsync(Credentials credentials, CancellationToken ct) => keystone.LogInAsync(credentials, ct);

    public async Task SignOutAsync(string token, CancellationToken ct)
    {
        await keystone.RevokeAsync(token, ct);
        tokens.Forget(token);
    }
}
