using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;

namespace SnapshotFlow.Api.Identity;

internal static class IdentityServices
{
    public static IServiceCollection AddIdentity(this IServiceCollection services)
    {
        services.AddOptions<IdentityOptions>().BindConfiguration("Identity").ValidateOnStart();
        services.AddSingleton<IValidateOptions<IdentityOptions>, TokenFileValidation>();
        services.AddSingleton<TokenFile>();
        services.AddSingleton(TimeProvider.System);
        // Not AddAuthentication: that brings data protection, which writes a key ring to the home directory for cookies that nobody here has.
        services.AddAuthenticationCore(o => o.DefaultScheme = TokenAuthentication.SchemeName).AddWebEncoders();
        new AuthenticationBuilder(services).AddScheme<AuthenticationSchemeOptions, TokenAuthentication>(TokenAuthentication.SchemeName, null);
        services.AddAuthorization();
        return services;
    }

    private sealed class TokenFileValidation : IValidateOptions<IdentityOptions>
    {
        public ValidateOptionsResult Validate(string? name, IdentityOptions options)
        {
            if (string.IsNullOrWhiteSpace(options.TokenFile))
            {
                return ValidateOptionsResult.Fail("Identity:TokenFile is missing: set it to the path of the file that says which token is whose");
            }

            try
            {
                TokenFile.Load(options.TokenFile);
                return ValidateOptionsResult.Success;
            }
            catch (FormatException e)
            {
                return ValidateOptionsResult.Fail($"Identity:TokenFile cannot be used: {e.Message}");
            }
        }
    }
}
